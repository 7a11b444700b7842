// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// vectors returns the conformance vectors of kopia-maint: those of the repository that this folder is part of, or,
// in a copy of the folder, those that KOPIA_MAINT_VECTORS names.
func vectors(t testing.TB) []string {
	folder := os.Getenv("KOPIA_MAINT_VECTORS")
	if folder == "" {
		folder = "../../../../src/kopia_maint/conformance/vectors"
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no vectors in %s: name their folder in KOPIA_MAINT_VECTORS", folder)
	}
	return files
}

type vector struct {
	Name    string
	Tests   string
	Current Object
	Steps   []struct{ Send, Expect, Edit Object }
}

func readVectors(t testing.TB, file string) []vector {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var content struct{ Vectors []vector }
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&content); err != nil {
		t.Fatal(err)
	}
	return content.Vectors
}

// TestVectors holds the package against what must be observable after each step of each history.
func TestVectors(t *testing.T) {
	for _, file := range vectors(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			for _, vector := range readVectors(t, file) {
				t.Run(vector.Name, func(t *testing.T) { play(t, vector) })
			}
		})
	}
}

// play sends the steps one after the other. What is current is the CronJob of the answer before; where the steps are
// plans, the CronJobs by name.
func play(t *testing.T, vector vector) {
	current := vector.Current
	for i, step := range vector.Steps {
		if step.Edit != nil {
			current = merge(current, step.Edit)
		}
		isPlan := step.Send["op"] == "plan"
		line, err := json.Marshal(asked(t, step.Send, current))
		if err != nil {
			t.Fatal(err)
		}
		answer := asJSON(t, Answer(line)).(Object)
		after := current
		if answer["error"] == nil && isPlan {
			after = merge(current, answer["cronJobs"].(Object))
		} else if answer["error"] == nil {
			after, _ = answer["cronJob"].(Object)
		}
		checker{t, i + 1, vector.Tests}.check(step.Expect, answer, len(current)+len(after) == 0 || reflect.DeepEqual(current, after))
		if t.Failed() {
			return
		}
		current = after
	}
}

func asked(t *testing.T, send, current Object) Object {
	question := Object{}
	for key, value := range send {
		question[key] = value
		if items, isList := value.([]any); isList {
			question[key] = repeated(t, items)
		}
	}
	if send["op"] != "plan" {
		question["current"] = current
		return question
	}
	cronJobs := []any{}
	for _, cronJob := range current {
		cronJobs = append(cronJobs, cronJob)
	}
	question["cronJobs"] = cronJobs
	return question
}

// repeated writes out each {"repeat": N, "of": ITEM}: N items, with the number of each in place of "#".
func repeated(t *testing.T, items []any) []any {
	all := []any{}
	for _, item := range items {
		short, _ := item.(Object)
		count, isShort := short["repeat"].(json.Number)
		if !isShort {
			all = append(all, item)
			continue
		}
		text, err := json.Marshal(short["of"])
		if err != nil {
			t.Fatal(err)
		}
		times, _ := strconv.Atoi(count.String())
		for number := 0; number < times; number++ {
			numbered := bytes.ReplaceAll(text, []byte("#"), []byte(strconv.Itoa(number)))
			all = append(all, asJSON(t, json.RawMessage(numbered)))
		}
	}
	return all
}

func asJSON(t testing.TB, value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

type checker struct {
	t        *testing.T
	step     int
	sentence string
}

func (c checker) equal(what string, expected, got any) {
	c.t.Helper()
	if !reflect.DeepEqual(expected, got) {
		c.t.Errorf("%s\nstep %d, %s: expected %v, got %v", c.sentence, c.step, what, expected, got)
	}
}

func (c checker) check(expect, answer Object, isUnchanged bool) {
	refused, _ := answer["error"].(Object)
	c.equal("error", expect["error"], refused["code"])
	if refused != nil {
		return
	}
	for what, expected := range expect {
		switch what {
		case "error":
		case "verdict", "verdicts", "standings":
			c.equal(what, expected, answer[what])
		case "withheld":
			c.equal(what, inOrder(expected.([]any)), inOrder(answer[what].([]any)))
		case "unchanged":
			c.equal(what, expected, isUnchanged)
		case "cronJob":
			c.observe(expected, answer["cronJob"])
		case "cronJobs":
			got := answer[what].(Object)
			c.equal("number of CronJobs", len(expected.(Object)), len(got))
			for name, cronJob := range expected.(Object) {
				_, decided := got[name]
				c.equal(name+" is decided", true, decided)
				c.observe(cronJob, got[name])
			}
		default:
			c.t.Errorf("the vector expects %s, which this test does not know", what)
		}
	}
}

func inOrder(names []any) []any {
	sort.Slice(names, func(i, j int) bool { return names[i].(string) < names[j].(string) })
	return names
}

// observe compares a CronJob as those see it who know nothing of its claims.
func (c checker) observe(expected, got any) {
	expect, _ := expected.(Object)
	cronJob, _ := got.(Object)
	c.equal("whether there is a CronJob", expect != nil, cronJob != nil)
	metadata, _ := cronJob["metadata"].(Object)
	labels, _ := metadata["labels"].(Object)
	annotations, _ := metadata["annotations"].(Object)
	spec, _ := cronJob["spec"].(Object)
	for what, expected := range expect {
		switch what {
		case "schedule":
			c.equal(what, meaningOf(expected), meaningOf(spec["schedule"]))
		case "owner":
			c.equal("owner (annotation)", expected, annotations[OwnerKey])
			c.equal("owner (label)", expected, labels[OwnerKey])
		case "conflict":
			c.equal(what, expected, annotations[ConflictAnnotation])
		case "namespaces":
			namespaces := []any{}
			for key := range labels {
				if strings.HasPrefix(key, NamespaceLabelPrefix) {
					namespaces = append(namespaces, strings.TrimPrefix(key, NamespaceLabelPrefix))
				}
			}
			c.equal(what, inOrder(expected.([]any)), inOrder(namespaces))
		case "holds":
			c.equal(what, merge(cronJob, expected.(Object)), cronJob)
		default:
			c.t.Errorf("the vector expects %s, which this test does not know", what)
		}
	}
}

func meaningOf(schedule any) any {
	text, _ := schedule.(string)
	if parsed, err := ParseSchedule(text); err == nil {
		return parsed.Canonical()
	}
	return schedule
}

// FuzzAnswer looks for lines that are not answered, or not with JSON.
func FuzzAnswer(f *testing.F) {
	for _, file := range vectors(f) {
		for _, vector := range readVectors(f, file) {
			for _, step := range vector.Steps {
				line, err := json.Marshal(merge(step.Send, Object{"current": vector.Current, "cronJobs": []any{vector.Current}}))
				if err != nil {
					f.Fatal(err)
				}
				f.Add(line)
			}
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, err := json.Marshal(Answer(line)); err != nil {
			t.Error(err)
		}
	})
}
