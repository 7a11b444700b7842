// How do requests and states look on the cluster? Manifests in and out.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

const (
	group      = "volsync.backube"
	prefix     = "kopia-maintenance-"
	ownerKey   = group + "/source-namespace"
	hashKey    = group + "/repository-hash"
	mainKey    = group + "/kopia-maintenance"
	configKey  = group + "/repository-config"
	conflicted = group + "/schedule-conflict"
	claimsKey  = group + "/schedule-claims"
	usedBy     = "source-namespace." + group + "/"
)

var (
	namespaceText = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	nameText      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	keyText       = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
	jobText       = regexp.MustCompile(`^` + prefix + `([0-9a-f]{16})$`)
	conflictText  = regexp.MustCompile(`^(?:Last conflict: )?Schedule '?(.+?)'? requested from namespace '?([^' ]+)'?` +
		` at ([^ ()]+)(?: \(rejected(?: - ([^ ()]+) strategy)?\))?$`)
	intervals = map[string]string{"1": "0 2 * * *", "7": "0 2 * * 0", "30": "0 2 1 * *", "31": "0 2 1 * *"}
)

// --- one field ---

// at returns a member if it has this type, the zero value if it is absent or null.
func at[T any](parent object, key, path string) (value T) {
	found := parent[key]
	if found == nil {
		return value
	}
	value, ok := found.(T)
	if !ok {
		refuse("invalid-manifest", path+"."+key, "is of the wrong type")
	}
	if text, isText := found.(string); isText && path != claimsKey && strings.Contains(text, "${") {
		refuse("invalid-manifest", path+"."+key, "holds a variable that was not substituted")
	}
	return value
}

func required(parent object, key, path string) string {
	text := at[string](parent, key, path)
	if text == "" {
		refuse("invalid-manifest", path+"."+key, "is missing")
	}
	return text
}

func checked(text string, allowed *regexp.Regexp, path string) string {
	if len(text) > 253 || !allowed.MatchString(text) {
		refuse("invalid-value", path, "%q is not valid", text)
	}
	return text
}

func instant(path, text string) time.Time {
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		refuse("invalid-value", path, "%v", err)
	}
	return parsed.UTC().Truncate(time.Second)
}

func manifestOf(given any) object {
	manifest, ok := given.(object)
	if !ok {
		refuse("invalid-manifest", "", "a manifest must be an object")
	}
	return manifest
}

// --- a source ---

func readSource(given any) source {
	metadata := at[object](manifestOf(given), "metadata", "")
	return source{
		checked(required(metadata, "namespace", "metadata"), namespaceText, "metadata.namespace"),
		checked(required(metadata, "name", "metadata"), nameText, "metadata.name"),
	}
}

// readRequest returns nil for what is not a Kopia source.
func readRequest(given any) *request {
	manifest := manifestOf(given)
	kind, version := at[string](manifest, "kind", ""), at[string](manifest, "apiVersion", "")
	if kind != "" && kind != "ReplicationSource" || version != "" && !strings.HasPrefix(version, group+"/") {
		return nil
	}
	metadata := at[object](manifest, "metadata", "")
	kopia := at[object](at[object](manifest, "spec", ""), "kopia", "spec")
	if kopia == nil {
		return nil
	}
	asks := request{source: readSource(given), enabled: true}
	if version != "" && version != group+"/v1alpha1" {
		refuse("invalid-manifest", "apiVersion", "%q is not known", version)
	}
	readMaintenance(kopia, &asks)
	if metadata["deletionTimestamp"] != nil {
		asks.enabled, asks.schedule = false, ""
	}
	asks.repository = checked(required(kopia, "repository", "spec.kopia"), nameText, "spec.kopia.repository")
	asks.hash = identity(asks.repository, at[object](kopia, "customCA", "spec.kopia"))
	if created := at[string](metadata, "creationTimestamp", "metadata"); created != "" {
		time := instant("metadata.creationTimestamp", created)
		asks.created = &time
	}
	if asks.schedule != "" && meaning(asks.schedule) == never {
		refuse("never-fires", "spec.kopia.maintenanceCronJob.schedule", "%q never fires", asks.schedule)
	}
	return &asks
}

func readMaintenance(kopia object, asks *request) {
	block := at[object](kopia, "maintenanceCronJob", "spec.kopia")
	days := at[json.Number](kopia, "maintenanceIntervalDays", "spec.kopia")
	switch {
	case block != nil:
		path := "spec.kopia.maintenanceCronJob"
		text := at[string](block, "schedule", path)
		if on := at[bool](block, "enabled", path); !on && block["enabled"] != nil {
			asks.enabled = false
			return
		}
		if asks.schedule = defaultSchedule; text != "" {
			meaning(text) // the text as it came is looked at first
			asks.schedule = folded(text)
		}
	case days != "":
		asks.enabled = days != "0"
		if asks.schedule = intervals[string(days)]; asks.schedule == "" && asks.enabled {
			asks.schedule = defaultSchedule
		}
	}
}

func identity(repository string, ca object) string {
	type customCA struct {
		SecretName    string `json:"secretName,omitempty"`
		ConfigMapName string `json:"configMapName,omitempty"`
		Key           string `json:"key,omitempty"`
	}
	field := func(key string, allowed *regexp.Regexp) string {
		path := "spec.kopia.customCA"
		text := at[string](ca, key, path)
		if text == "" {
			return ""
		}
		return checked(text, allowed, path+"."+key)
	}
	key := field("key", keyText)
	if key == "." || strings.HasPrefix(key, "..") {
		refuse("invalid-value", "spec.kopia.customCA.key", "%q is not valid", key)
	}
	text, _ := json.Marshal(struct {
		Repository string   `json:"repository"`
		CustomCA   customCA `json:"customCA"`
	}{repository, customCA{field("secretName", nameText), field("configMapName", nameText), key}})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:16]
}

// --- a CronJob ---

// record is the claims annotation: namespace, name, [schedule or null, since].
type record struct {
	Version        int                             `json:"version"`
	LatestConflict *string                         `json:"latestConflict,omitempty"`
	Claims         map[string]map[string][]*string `json:"claims"`
}

func readState(given any) *state {
	if given == nil {
		return nil
	}
	manifest := manifestOf(given)
	for key, known := range map[string]string{"kind": "CronJob", "apiVersion": "batch/v1"} {
		if text := at[string](manifest, key, ""); text != "" && text != known {
			refuse("invalid-manifest", key, "%q is not known", text)
		}
	}
	metadata := at[object](manifest, "metadata", "")
	labels, annotations := at[object](metadata, "labels", "metadata"), at[object](metadata, "annotations", "metadata")
	named := jobText.FindStringSubmatch(required(metadata, "name", "metadata"))
	if named == nil {
		refuse("invalid-manifest", "metadata.name", "not a maintenance CronJob's name")
	}
	if label := at[string](labels, hashKey, "metadata.labels"); labels[hashKey] != nil && label != named[1] {
		refuse("invalid-manifest", "metadata.labels", "%q contradicts the name", label)
	}
	read := &state{hash: named[1]}
	if read.owner = at[string](annotations, ownerKey, "metadata.annotations"); read.owner == "" {
		read.owner = at[string](labels, ownerKey, "metadata.labels")
	}
	if read.owner != "" {
		checked(read.owner, namespaceText, "metadata.annotations")
	}
	about := readClaims(annotations, read)
	read.schedule = required(at[object](manifest, "spec", ""), "schedule", "spec")
	meaning(read.schedule)
	readConflict(annotations, about, read)
	if name, ok := annotations[configKey].(string); ok && nameText.MatchString(name) {
		read.repository = name
	}
	return read
}

// readClaims also returns which source the latest conflict is about.
func readClaims(annotations object, into *state) source {
	into.claims = map[source]claim{}
	if annotations[claimsKey] == nil {
		return source{}
	}
	var stored record
	strict := json.NewDecoder(strings.NewReader(at[string](annotations, claimsKey, claimsKey)))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&stored); err != nil || stored.Version != 1 || stored.Claims == nil {
		refuse("invalid-manifest", claimsKey, "damaged, or of a version that is not known: %v", err)
	}
	for namespace, byName := range stored.Claims {
		for name, fields := range byName {
			if len(fields) != 2 || fields[1] == nil {
				refuse("invalid-manifest", claimsKey, "the claim of %s is damaged", name)
			}
			who := source{checked(namespace, namespaceText, claimsKey), checked(name, nameText, claimsKey)}
			made := claim{since: instant(claimsKey, *fields[1]).Format(time.RFC3339)}
			if fields[0] != nil {
				meaning(*fields[0])
				made.schedule = folded(*fields[0])
			}
			into.claims[who] = made
		}
	}
	if stored.LatestConflict == nil {
		return source{}
	}
	namespace, name, _ := strings.Cut(*stored.LatestConflict, "/")
	return source{checked(namespace, namespaceText, claimsKey), checked(name, nameText, claimsKey)}
}

// readConflict ignores what it cannot read.
func readConflict(annotations object, about source, into *state) {
	text, _ := annotations[conflicted].(string)
	found := conflictText.FindStringSubmatch(folded(text))
	if found == nil {
		return
	}
	_ = try(func() {
		meaning(found[1])
		namespace := checked(found[2], namespaceText, conflicted)
		read := conflict{namespace, "", found[1], instant(conflicted, found[3]).Format(time.RFC3339), found[4]}
		if read.policy == "" {
			read.policy = "first-wins"
		}
		if about.namespace == read.namespace {
			read.name = about.name
		}
		into.conflict = &read
	})
}

// written returns the CronJob as it should be: what is not ours stays, and what is the same already stays as it is.
func written(desired *state, given any) any {
	if desired == nil {
		return nil
	}
	manifest, known := given.(object)
	if !known {
		manifest = object{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": object{
			"name": prefix + desired.hash, "namespace": "volsync-system"}}
	}
	metadata, spec := at[object](manifest, "metadata", ""), at[object](manifest, "spec", "")
	if spec == nil {
		spec = object{"schedule": desired.schedule}
	} else if text := at[string](spec, "schedule", "spec"); !same(text, desired.schedule) {
		spec = with(spec, object{"schedule": desired.schedule})
	}
	labels := object{mainKey: "true", hashKey: desired.hash, ownerKey: orNull(desired.owner)}
	old := at[object](metadata, "labels", "metadata")
	for key := range old {
		if strings.HasPrefix(key, usedBy) {
			labels[key] = nil
		}
	}
	for who := range desired.claims {
		labels[usedBy+who.namespace] = ""
	}
	annotations := object{ownerKey: orNull(desired.owner), conflicted: nil}
	if c := desired.conflict; c != nil {
		annotations[conflicted] = fmt.Sprintf("Last conflict: Schedule '%s' requested from namespace '%s' at %s"+
			" (rejected - %s strategy)", c.schedule, c.namespace, c.since, c.policy)
	}
	if desired.repository != "" {
		annotations[configKey] = desired.repository
	}
	notes := at[object](metadata, "annotations", "metadata")
	if text := claimsText(desired); !sameClaims(notes, text) {
		annotations[claimsKey] = text
	}
	metadata = with(metadata, object{"labels": with(old, labels), "annotations": with(notes, annotations)})
	return with(manifest, object{"metadata": metadata, "spec": spec})
}

// with returns a copy of an object with some members set, and those that are nil gone.
func with(parent, members object) object {
	result := object{}
	for key, value := range parent {
		result[key] = value
	}
	for key, value := range members {
		if result[key] = value; value == nil {
			delete(result, key)
		}
	}
	return result
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func claimsText(desired *state) string {
	stored := record{Version: 1, Claims: map[string]map[string][]*string{}}
	if c := desired.conflict; c != nil && c.name != "" {
		about := c.namespace + "/" + c.name
		stored.LatestConflict = &about
	}
	for who, made := range desired.claims {
		if stored.Claims[who.namespace] == nil {
			stored.Claims[who.namespace] = map[string][]*string{}
		}
		made, fields := made, []*string{nil, nil}
		if fields[1] = &made.since; made.schedule != "" {
			fields[0] = &made.schedule
		}
		stored.Claims[who.namespace][who.name] = fields
	}
	text, _ := json.Marshal(stored)
	return string(text)
}

// sameClaims says whether the annotation holds these claims already, in whatever layout.
func sameClaims(annotations object, text string) bool {
	var present record
	stored, _ := annotations[claimsKey].(string)
	if json.Unmarshal([]byte(stored), &present) != nil {
		return false
	}
	laidOut, _ := json.Marshal(present)
	return string(laidOut) == text
}
