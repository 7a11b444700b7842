// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// annotationsLimit is how many bytes the annotations of one object may have, as apimachinery has it.
const annotationsLimit = 256 * 1024

var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// claimsText writes the claims in the one form that all implementations write, one source a line.
func claimsText(s *State) string {
	text := &strings.Builder{}
	text.WriteString(`{"version":1,`)
	if s.Policy != "" {
		fmt.Fprintf(text, `"policy":"%s",`, s.Policy)
	}
	text.WriteString("\"claims\":{\n")
	namespace := ""
	for _, source := range s.sources() {
		switch {
		case namespace == source.Namespace:
			text.WriteString(",\n")
		case namespace != "":
			text.WriteString("},\n")
		}
		if namespace != source.Namespace {
			namespace = source.Namespace
			fmt.Fprintf(text, "\"%s\":{\n", namespace)
		}
		text.WriteString(claimText(source, s.Claims[source]))
	}
	if namespace != "" {
		text.WriteByte('}')
	}
	text.WriteString("}}")
	return text.String()
}

func claimText(source SourceRef, claim Claim) string {
	schedule, mark := "null", ""
	if !claim.Schedule.IsZero() {
		schedule = `"` + quoted.Replace(claim.Schedule.text) + `"`
	}
	if claim.Rejected {
		mark = `,"rejected"`
	}
	return fmt.Sprintf(`"%s":[%s,"%s"%s]`, source.Name, schedule, formatTime(claim.Since), mark)
}

// parseClaims reads the claims and the policy that rejects the marked ones.
func parseClaims(text string) (map[SourceRef]Claim, string, *Error) {
	if utf8.RuneCountInString(text) > annotationsLimit {
		return nil, "", refuse(InvalidManifest, "has more characters than Kubernetes allows")
	}
	value, err := decodeOnce(text)
	if err != nil {
		return nil, "", refuse(InvalidManifest, "is damaged: %v", err)
	}
	document, _ := value.(pairs)
	switch version := document.get("version").(type) {
	case json.Number:
		if version != "1" {
			return nil, "", refuse(InvalidManifest, "has version %s, only 1 is known", version)
		}
	default:
		return nil, "", refuse(InvalidManifest, "is damaged: not an object with a version")
	}
	byNamespace, hasClaims := document.get("claims").(pairs)
	for _, member := range document {
		hasClaims = hasClaims && (member.key == "version" || member.key == "policy" || member.key == "claims")
	}
	if !hasClaims {
		return nil, "", refuse(InvalidManifest, "is damaged: it must have version, claims, and policy or not")
	}
	policy, _ := document.get("policy").(string)
	if document.has("policy") {
		if refused := policyName.check(policy); refused != nil {
			return nil, "", refused.at("policy")
		}
	}
	claims := map[SourceRef]Claim{}
	for _, of := range byNamespace {
		if refused := namespaceName.check(of.key); refused != nil {
			return nil, "", refused.at("claims")
		}
		byName, isObject := of.value.(pairs)
		if !isObject {
			return nil, "", refuse(InvalidManifest, "is damaged: it must be an object").at("claims." + of.key)
		}
		for _, by := range byName {
			source := SourceRef{of.key, by.key}
			refused := objectName.check(by.key)
			if refused == nil {
				claims[source], refused = parseClaim(by.value)
			}
			if refused != nil {
				return nil, "", refused.at("claims[" + source.String() + "]")
			}
		}
	}
	return claims, policy, nil
}

func parseClaim(value any) (Claim, *Error) {
	damaged := refuse(InvalidManifest, `is damaged: it must be [SCHEDULE or null, "TIME"], or these and "rejected"`)
	items, _ := value.([]any)
	if len(items) != 2 && (len(items) != 3 || items[2] != "rejected") {
		return Claim{}, damaged
	}
	since, isText := items[1].(string)
	if !isText {
		return Claim{}, damaged
	}
	claim := Claim{Rejected: len(items) == 3}
	var refused *Error
	if items[0] != nil {
		wanted, isText := items[0].(string)
		if !isText {
			return Claim{}, refuse(Syntax, "a schedule must be a string, not %s", typeName(items[0]))
		}
		if claim.Schedule, refused = parseSchedule(wanted); refused != nil {
			return Claim{}, refused
		}
	}
	if claim.Since, refused = parseTime(since); refused != nil {
		return Claim{}, refused
	}
	return claim, claim.check()
}

// pairs are the members of a JSON object in the order of the text, so that the first fault is the one that is named.
type pairs []pair

type pair struct {
	key   string
	value any
}

func (p pairs) get(key string) any {
	for _, member := range p {
		if member.key == key {
			return member.value
		}
	}
	return nil
}

func (p pairs) has(key string) bool {
	for _, member := range p {
		if member.key == key {
			return true
		}
	}
	return false
}

// decodeOnce decodes JSON, and refuses a key that an object has twice.
func decodeOnce(text string) (any, error) {
	if !json.Valid([]byte(text)) {
		return nil, errors.New("not JSON")
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return nextValue(decoder)
}

func nextValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if delimiter, opens := token.(json.Delim); err != nil || !opens {
		return token, err
	} else if delimiter == '[' {
		items := []any{}
		for decoder.More() {
			item, err := nextValue(decoder)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		_, err = decoder.Token()
		return items, err
	}
	members, known := pairs{}, map[any]bool{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		if known[key] {
			return nil, fmt.Errorf("the key %.60q is there twice", key)
		}
		known[key] = true
		value, err := nextValue(decoder)
		if err != nil {
			return nil, err
		}
		members = append(members, pair{key.(string), value})
	}
	_, err = decoder.Token()
	return members, err
}
