// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// object reads JSON as unstructured objects have it.
func object(t testing.TB, text string) Object {
	t.Helper()
	var value Object
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

const namesOfOne = `"metadata": {"namespace": "team-a", "name": "one"}`

func sourceWith(t testing.TB, kopia string) Object {
	t.Helper()
	return object(t, `{`+namesOfOne+`, "spec": {"kopia": {"repository": "shared-repo-secret"`+kopia+`}}}`)
}

func TestWhatASourceAsksFor(t *testing.T) {
	for kopia, want := range map[string]string{
		``:                                                                   "no preference",
		`, "maintenanceIntervalDays": 0`:                                     "disabled",
		`, "maintenanceIntervalDays": 1`:                                     "0 2 * * *",
		`, "maintenanceIntervalDays": 7`:                                     "0 2 * * 0",
		`, "maintenanceIntervalDays": 31`:                                    "0 2 1 * *",
		`, "maintenanceIntervalDays": 12`:                                    "0 2 * * *",
		`, "maintenanceIntervalDays": 7.0`:                                   "invalid-manifest",
		`, "maintenanceCronJob": {}`:                                         "0 2 * * *",
		`, "maintenanceCronJob": null`:                                       "no preference",
		`, "maintenanceCronJob": {}, "maintenanceIntervalDays": 0`:           "0 2 * * *",
		`, "maintenanceCronJob": {"schedule": "@daily"}`:                     "@daily",
		`, "maintenanceCronJob": {"schedule": 5}`:                            "invalid-manifest",
		`, "maintenanceCronJob": {"schedule": "x"}`:                          "syntax",
		`, "maintenanceCronJob": {"schedule": "0 0 30 2 *"}`:                 "never-fires",
		`, "maintenanceCronJob": {"schedule": "${SCHEDULE}"}`:                "invalid-manifest",
		`, "maintenanceCronJob": {"enabled": false, "schedule": 5}`:          "disabled",
		`, "maintenanceCronJob": {"enabled": "no"}`:                          "invalid-manifest",
		`, "customCA": {"key": "../x"}`:                                      "invalid-value",
		`, "customCA": {"key": 5}, "maintenanceCronJob": {"enabled": false}`: "nothing",
	} {
		if got := wish(ReadRequest(sourceWith(t, kopia))); got != want {
			t.Errorf("%s: %s, not %s", kopia, got, want)
		}
	}
}

func wish(request *Request, err error) string {
	switch {
	case err != nil:
		return string(codeOf(err))
	case request == nil:
		return "nothing"
	case !request.Enabled:
		return "disabled"
	case request.Schedule.IsZero():
		return "no preference"
	}
	return request.Schedule.String()
}

func TestWhatIsNoSource(t *testing.T) {
	for text, want := range map[string]string{
		`{"kind": "Pod", "metadata": {}}`:                                         "nothing",
		`{"kind": "ReplicationSource", "apiVersion": "other/v1", "metadata": {}}`: "nothing",
		`{` + namesOfOne + `}`:                                                    "nothing",
		`{` + namesOfOne + `, "spec": {"restic": {}}}`:                            "nothing",
		`{}`: "invalid-manifest",
		`{"type": "ADDED", "object": {` + namesOfOne + `}}`:                        "invalid-manifest",
		`{"kind": "List", "metadata": {}, "items": []}`:                            "invalid-manifest",
		`{"kind": "", ` + namesOfOne + `}`:                                         "invalid-manifest",
		`{"api_version": "v1", ` + namesOfOne + `}`:                                "invalid-manifest",
		`{"metadata": {"name": "one", "namespace": "a", "resource_version": "1"}}`: "invalid-manifest",
		`{"metadata": {"name": "one"}, "spec": {"kopia": {}}}`:                     "invalid-manifest",
		`{"apiVersion": "volsync.backube/v2", "metadata": {"namespace": "a", "name": "b", "deletionTimestamp": "x"}, "spec": {"kopia": {"repository": "r"}}}`: "invalid-manifest",
		`{"metadata": {"namespace": "a", "name": "b", "deletionTimestamp": "x"}, "spec": {"kopia": {"repository": "r", "maintenanceCronJob": 5}}}`:            "disabled",
		`{"metadata": {"namespace": "a", "name": "b", "deletionTimestamp": "x"}, "spec": {"kopia": {"repository": 5}}}`:                                       "nothing",
	} {
		if got := wish(ReadRequest(object(t, text))); got != want {
			t.Errorf("%s: %s, not %s", text, got, want)
		}
	}
	_, err := ReadRequest(sourceWith(t, `, "maintenanceCronJob": 5`))
	if refused := err.(*Error); refused.Source != ref("team-a/one") || refused.SecretName != "shared-repo-secret" {
		t.Errorf("%#v does not name the source and its Secret", refused)
	}
}

// TestTypedObjects compares objects with what typed code hands over of the same.
func TestTypedObjects(t *testing.T) {
	enabled, days := true, int64(7)
	for name, test := range map[string]struct {
		typed Source
		text  string
	}{
		"all": {
			Source{Namespace: "team-a", Name: "one", CreatedAt: start, Kopia: &Kopia{
				Repository: "r", CustomCA: CustomCA{SecretName: "s", ConfigMapName: "c", Key: "k"},
				MaintenanceCronJob: &MaintenanceCronJob{Enabled: &enabled, Schedule: "@daily"},
			}},
			`{"metadata": {"namespace": "team-a", "name": "one", "creationTimestamp": "2024-01-15T10:30:00Z"},
			  "spec": {"kopia": {"repository": "r", "customCA": {"secretName": "s", "configMapName": "c", "key": "k"},
			                     "maintenanceCronJob": {"enabled": true, "schedule": "@daily"}}}}`,
		},
		"deprecated": {
			Source{Namespace: "team-a", Name: "one", Kopia: &Kopia{Repository: "r", MaintenanceIntervalDays: &days}},
			`{` + namesOfOne + `, "spec": {"kopia": {"repository": "r", "maintenanceIntervalDays": 7}}}`,
		},
		"deleting": {
			Source{Namespace: "team-a", Name: "one", Deleting: true, Kopia: &Kopia{Repository: "r"}},
			`{"metadata": {"namespace": "team-a", "name": "one", "deletionTimestamp": "2024-01-15T10:30:00Z"},
			  "spec": {"kopia": {"repository": "r"}}}`,
		},
		"restic": {Source{Namespace: "team-a", Name: "one"}, `{` + namesOfOne + `, "spec": {}}`},
	} {
		typed, err := test.typed.Request()
		untyped, otherErr := ReadRequest(object(t, test.text))
		if err != nil || otherErr != nil || !reflect.DeepEqual(typed, untyped) {
			t.Errorf("%s: %+v (%v), not %+v (%v)", name, typed, err, untyped, otherErr)
		}
	}
}

func cronJobWith(t testing.TB, annotations string) Object {
	t.Helper()
	return object(t, `{"metadata": {"namespace": "volsync-system", "name": "kopia-maintenance-f11df99437a0f538",
		"uid": "u", "resourceVersion": "1", "annotations": {`+annotations+`}}, "spec": {"schedule": "0 2 * * *"}}`)
}

func TestClaimsAnnotation(t *testing.T) {
	state := &State{RepositoryHash: shared.Hash(), SecretName: "shared-repo-secret", Policy: "first-wins", Owner: "team-a",
		Schedule: mustSchedule(t, "0 2 * * *"), Claims: map[SourceRef]Claim{
			ref("team-a/source-a"): {mustSchedule(t, "0 2 * * *"), start, false},
			ref("team-a/source-c"): {Schedule{}, start, false},
			ref("team-b/source-b"): {mustSchedule(t, `*-"\ 4 * * *`), start, true},
		}}
	const want = `{"version":1,"policy":"first-wins","claims":{
"team-a":{
"source-a":["0 2 * * *","2024-01-15T10:30:00Z"],
"source-c":[null,"2024-01-15T10:30:00Z"]},
"team-b":{
"source-b":["*-\"\\ 4 * * *","2024-01-15T10:30:00Z","rejected"]}}}`
	written, err := Manifest(state, nil, "volsync-system")
	if err != nil {
		t.Fatal(err)
	}
	annotations := written["metadata"].(Object)["annotations"].(Object)
	if annotations[ClaimsAnnotation] != want {
		t.Errorf("claims are written as\n%s", annotations[ClaimsAnnotation])
	}
	none := &State{RepositoryHash: shared.Hash(), Schedule: mustSchedule(t, "0 2 * * *")}
	if text := claimsText(none); text != "{\"version\":1,\"claims\":{\n}}" {
		t.Errorf("no claims are written as %s", text)
	}
	for text, code := range map[string]Code{
		`{"version":1,"claims":{}}`:              "",
		``:                                       InvalidManifest,
		`{"version":2,"claims":{}}`:              InvalidManifest,
		`{"version":1,"claims":{},"more":1}`:     InvalidManifest,
		`{"version":1,"version":1,"claims":{}}`:  InvalidManifest,
		`{"version":1,"claims":{}} {}`:           InvalidManifest,
		`{"version":1,"policy":"p","claims":{}}`: InvalidValue,
		`{"version":1,"claims":{"a":{"b":["@daily","2024-01-15T10:30:00Z","rejected"]}}}`:              InvalidValue,
		`{"version":1,"policy":"p","claims":{"a":{"b":[null,"2024-01-15T10:30:00Z","rejected"]}}}`:     InvalidValue,
		`{"version":1,"policy":"p","claims":{"a":{"b":["@daily","2024-01-15T10:30:00Z","rejected"]}}}`: "",
		`{"version":1,"policy":"p","claims":{"a":{"b":["@daily","2024-01-15T10:30:00Z","yes"]}}}`:      InvalidManifest,
		`{"version":1,"claims":{"a":{"b":["0 0 30 2 *","2024-01-15T10:30:00Z"]}}}`:                     NeverFires,
		`{"version":1,"claims":{"a":{"b":["@daily","2024-01-15 10:30"]}}}`:                             InvalidValue,
		`{"version":1,"claims":{"A":{}}}`:                                                              InvalidValue,
	} {
		quoted, _ := json.Marshal(text)
		if _, err := ReadState(cronJobWith(t, fmt.Sprintf(`%q: %s`, ClaimsAnnotation, quoted))); codeOf(err) != code {
			t.Errorf("%s: %v, not %q", text, err, code)
		}
	}
}

func TestWhatMakesACronJobUnreadable(t *testing.T) {
	foreign := object(t, `{"kind": "CronJob", "apiVersion": "batch/v1", "metadata": {"name": "kopia-maint-0123456789abcdef"}}`)
	if state, err := ReadState(foreign); state != nil || err != nil {
		t.Errorf("a CronJob of another name is %v, %v", state, err)
	}
	for annotations, code := range map[string]Code{
		`"volsync.backube/source-namespace": ""`:         "",
		`"volsync.backube/source-namespace": "Team_A"`:   InvalidValue,
		`"volsync.backube/source-namespace": 5`:          InvalidManifest,
		`"volsync.backube/repository-config": "No Name"`: "",
		`"volsync.backube/schedule-conflict": 5`:         "",
	} {
		if _, err := ReadState(cronJobWith(t, annotations)); codeOf(err) != code {
			t.Errorf("%s: %v, not %q", annotations, err, code)
		}
	}
}

func TestWrites(t *testing.T) {
	job := CronJob{Namespace: "volsync-system", Name: shared.CronJobName(), UID: "u", ResourceVersion: "7", Schedule: "0 2 * * *"}
	current, err := job.State()
	if err != nil {
		t.Fatal(err)
	}
	decided, err := Resolve(current, ask(t, "team-a/one", "0 4 * * *"), start, nil)
	if err != nil {
		t.Fatal(err)
	}
	write, err := WriteFor(decided.Decision, job.Object(), nil, "volsync-system")
	if err != nil {
		t.Fatal(err)
	}
	if metadata := write.Body["metadata"].(Object); write.Action != Update || metadata["resourceVersion"] != "7" {
		t.Errorf("%v is no patch that a stale write is refused by", write)
	}
	deleted, _ := Reconcile(current, nil, start, nil, nil)
	write, err = WriteFor(deleted.Decision, job.Object(), nil, "volsync-system")
	if err != nil || write.Action != Delete || write.UID != "u" || write.ResourceVersion != "7" {
		t.Errorf("%v, %v is no deletion with preconditions", write, err)
	}
	without := job
	without.UID = ""
	other := job
	other.Namespace = "team-a"
	stale := job
	stale.Schedule = "0 3 * * *"
	for name, object := range map[string]Object{
		"without uid": without.Object(), "of another namespace": other.Object(), "of another state": stale.Object(), "that is gone": nil,
	} {
		if write, err := WriteFor(deleted.Decision, object, nil, "volsync-system"); err == nil {
			t.Errorf("a CronJob %s is written: %v", name, write)
		}
	}
	template := Object{
		"metadata": Object{"uid": "u", "resourceVersion": "1", "labels": Object{"team": "platform"}},
		"spec":     Object{"suspend": true, "schedule": "@hourly"}, "status": Object{},
	}
	created, err := Manifest(decided.Desired, template, "volsync-system")
	if err != nil {
		t.Fatal(err)
	}
	cleared, err := Patch(current, merge(job.Object(), Object{"metadata": Object{"annotations": Object{ConfigAnnotation: "other"}}}))
	if value, present := cleared["metadata"].(Object)["annotations"].(Object)[ConfigAnnotation]; err != nil || !present || value != nil {
		t.Errorf("a Secret that the state does not know is not cleared: %v, %v", cleared, err)
	}
	metadata := created["metadata"].(Object)
	if metadata["uid"] != nil || created["status"] != nil || metadata["labels"].(Object)["team"] != "platform" ||
		!reflect.DeepEqual(created["spec"], Object{"suspend": true, "schedule": "0 4 * * *"}) {
		t.Errorf("created from the template: %v", created)
	}
	if template["metadata"].(Object)["uid"] != "u" {
		t.Error("the template was changed")
	}
}
