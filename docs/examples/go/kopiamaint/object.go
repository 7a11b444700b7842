// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// Object is a Kubernetes object as unstructured.Unstructured and encoding/json have it.
type Object = map[string]any

// fields are the members of an object, or of a mapping inside of it, that know where they are. The first refusal is
// kept and what is read after it is zero, so that readers can read on and look at refused once.
type fields struct {
	members Object
	path    string
	refused **Error
}

// oneObject refuses what is not one Kubernetes object: silence would read as "no source left".
func oneObject(members Object) fields {
	f := fields{members: members, refused: new(*Error)}
	if members == nil {
		f.refuse("", "must be a Kubernetes object")
	}
	kind, version := f.stored("kind"), f.stored("apiVersion")
	if _, isList := members["items"]; isList && (!f.has("kind") || strings.HasSuffix(kind, "List")) {
		f.refuse("", "is a list of objects: pass each of its items")
	}
	_, hasMetadata := members["metadata"]
	if _, isEvent := members["object"]; isEvent && !hasMetadata {
		f.refuse("", "is a watch event: pass its object")
	}
	metadata := f.mapping("metadata")
	for _, key := range []string{"api_version", "resource_version", "creation_timestamp", "deletion_timestamp"} {
		_, above := members[key]
		_, within := metadata.members[key]
		if above || within {
			f.refuse("", "has the key %s: pass the object as the API server sends it, with camelCase keys", key)
		}
	}
	if metadata.members == nil {
		f.refuse("metadata", "is missing: pass the whole object, not a part of it")
	}
	if f.has("kind") && kind == "" {
		f.refuse("kind", "must not be empty")
	}
	if f.has("apiVersion") && version == "" {
		f.refuse("apiVersion", "must not be empty")
	}
	return f
}

func (f fields) fault() *Error { return *f.refused }

func (f fields) at(key string) string {
	switch {
	case strings.Contains(key, "/"):
		return f.path + "[" + key + "]"
	case f.path == "":
		return key
	}
	return f.path + "." + key
}

func (f fields) refuse(key, format string, args ...any) {
	path := f.path
	if key != "" {
		path = f.at(key)
	}
	f.keep(refuse(InvalidManifest, format, args...), path)
}

// keep keeps a refusal, if there is one and it is the first.
func (f fields) keep(refused *Error, path string) {
	if refused != nil && *f.refused == nil {
		*f.refused = refused.at(path)
	}
}

func (f fields) has(key string) bool { return f.members[key] != nil }

// isKind returns whether an object is of a kind, which items of raw lists do not say; a client's own spelling is refused.
func (f fields) isKind(kind string) bool {
	stated := f.stored("kind")
	if stated != kind && strings.ToLower(stated) == strings.ToLower(kind) {
		f.refuse("kind", "must be spelt %s: pass the object as the API server sends it", kind)
	}
	return stated == "" || stated == kind
}

// mapping returns the members of a mapping; none where it is absent.
func (f fields) mapping(key string) fields {
	members, isMapping := f.members[key].(Object)
	if !isMapping && f.has(key) {
		f.refuse(key, "must be a mapping, not %s", typeName(f.members[key]))
	}
	return fields{members, f.at(key), f.refused}
}

// stored returns a string; "" where it is absent.
func (f fields) stored(key string) string {
	text, isText := f.members[key].(string)
	if !isText && f.has(key) {
		f.refuse(key, "must be a string, not %s", typeName(f.members[key]))
	}
	return text
}

// text returns a string that a person wrote.
func (f fields) text(key string) string {
	text := f.stored(key)
	if strings.Contains(text, "${") {
		f.refuse(key, "%.60q holds a variable that was not substituted", text)
	}
	return text
}

// needed returns a string that must be there.
func (f fields) needed(key string) string {
	text := f.stored(key)
	if text == "" {
		f.refuse(key, "is missing")
	}
	return text
}

// required returns a string that a person wrote, and that must be there.
func (f fields) required(key string) string {
	f.text(key)
	return f.needed(key)
}

func (f fields) name(key string, kind kindOfName) string {
	text := f.required(key)
	f.keep(kind.check(text), f.at(key))
	return text
}

// boolean returns a truth value, and otherwise where it is absent.
func (f fields) boolean(key string, otherwise bool) bool {
	value, isBool := f.members[key].(bool)
	if isBool {
		return value
	}
	if f.has(key) {
		f.refuse(key, "must be true or false, not %s", typeName(f.members[key]))
	}
	return otherwise
}

// integer returns an integer as text, for JSON knows no largest one.
func (f fields) integer(key string) string {
	switch value := f.members[key].(type) {
	case nil:
		return ""
	case json.Number:
		if !strings.ContainsAny(value.String(), ".eE") {
			return value.String()
		}
	case int64:
		return strconv.FormatInt(value, 10)
	}
	f.refuse(key, "must be an integer, not %s", typeName(f.members[key]))
	return ""
}

func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case Object:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "true or false"
	}
	return "a number"
}

// nameIn returns a name inside an object, whatever else is wrong with that; "" where it cannot be read.
func nameIn(object Object, kind kindOfName, path ...string) string {
	for _, key := range path[:len(path)-1] {
		object, _ = object[key].(Object)
	}
	text, _ := object[path[len(path)-1]].(string)
	if !kind.accepts(text) {
		return ""
	}
	return text
}

func same(one, other any) bool { return reflect.DeepEqual(one, other) }
