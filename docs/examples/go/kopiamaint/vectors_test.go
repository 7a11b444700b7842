// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"sort"
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

func play(t *testing.T, vector vector) {
	var current any
	if vector.Current != nil {
		current = vector.Current
	}
	for i, step := range vector.Steps {
		if step.Edit != nil {
			before, _ := current.(Object)
			current = merge(before, step.Edit)
		}
		line, err := json.Marshal(merge(step.Send, Object{"current": current}))
		if err != nil {
			t.Fatal(err)
		}
		answer := asJSON(t, Answer(line)).(Object)
		checker := checker{t, i + 1, vector.Tests}
		checker.check(step.Expect, current, answer)
		if t.Failed() {
			return
		}
		if answer["error"] == nil {
			current = answer["cronJob"]
		}
	}
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

func (c checker) check(expect Object, current any, answer Object) {
	refused, _ := answer["error"].(Object)
	c.equal("error", expect["error"], refused["code"])
	if refused != nil {
		return
	}
	for what, expected := range expect {
		switch what {
		case "error":
		case "verdict", "verdicts", "standings", "withheld":
			c.equal(what, expected, answer[what])
		case "unchanged":
			c.equal(what, expected, reflect.DeepEqual(current, answer["cronJob"]))
		case "cronJob":
			c.observe(expected, answer["cronJob"])
		default:
			c.t.Errorf("the vector expects %s, which this test does not know", what)
		}
	}
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
			sort.Slice(namespaces, func(i, j int) bool { return namespaces[i].(string) < namespaces[j].(string) })
			c.equal(what, expected, namespaces)
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
		for _, vector := range readVectors(f, file)[:3] {
			for _, step := range vector.Steps {
				line, err := json.Marshal(merge(step.Send, Object{"current": vector.Current}))
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
