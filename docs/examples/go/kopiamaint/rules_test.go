// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"errors"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"time"
)

var (
	start  = time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)
	shared = Repository{SecretName: "shared-repo-secret"}
)

func ref(text string) SourceRef {
	namespace, name, _ := strings.Cut(text, "/")
	return SourceRef{namespace, name}
}

// ask returns what a source asks for: "" is no preference, "off" takes no part.
func ask(t testing.TB, source, schedule string) Request {
	t.Helper()
	if schedule == "off" {
		return Request{Source: ref(source), Repository: shared}
	}
	return Request{Source: ref(source), Repository: shared, Enabled: true, Schedule: mustSchedule(t, schedule)}
}

func mustBounded(t testing.TB, policy Policy, shortest, longest time.Duration) Policy {
	t.Helper()
	bounded, err := NewBounded(policy, shortest, longest)
	if err != nil {
		t.Fatal(err)
	}
	return bounded
}

func codeOf(err error) Code {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// TestStories tells the rules of Resolve one request after the other.
func TestStories(t *testing.T) {
	type step struct {
		source, asks string
		verdict      Verdict
		schedule     string
		owner        string
		rejected     string // the sources whose claims are marked
	}
	for name, story := range map[string]struct {
		policy Policy
		steps  []step
	}{
		"the first wins, its namespace may change its mind": {nil, []step{
			{"team-a/one", "0 4 * * *", Established, "0 4 * * *", "team-a", ""},
			{"team-b/two", "0 5 * * *", Rejected, "0 4 * * *", "team-a", "team-b/two"},
			{"team-b/two", "0 5 * * *", Rejected, "0 4 * * *", "team-a", "team-b/two"},
			{"team-a/one", "0 6 * * *", Established, "0 6 * * *", "team-a", "team-b/two"},
			{"team-a/one", "0 5 * * *", Established, "0 5 * * *", "team-a", ""},
		}},
		"two sources of one namespace do not take turns": {nil, []step{
			{"team-a/one", "0 4 * * *", Established, "0 4 * * *", "team-a", ""},
			{"team-a/two", "0 5 * * *", Established, "0 5 * * *", "team-a", ""},
			{"team-a/one", "0 4 * * *", Superseded, "0 5 * * *", "team-a", ""},
			{"team-a/one", "off", Disabled, "0 5 * * *", "team-a", ""},
			{"team-a/one", "0 4 * * *", Established, "0 4 * * *", "team-a", ""},
		}},
		"spelling is no news": {nil, []step{
			{"team-a/one", "", Established, DefaultSchedule, "team-a", ""},
			{"team-a/two", "00 2 * * ?", Agreed, DefaultSchedule, "team-a", ""},
			{"team-b/one", "00 02 * * *", Agreed, DefaultSchedule, "team-a", ""},
		}},
		"the schedule outlives its owner": {nil, []step{
			{"team-a/one", "0 4 * * *", Established, "0 4 * * *", "team-a", ""},
			{"team-b/two", "", Agreed, "0 4 * * *", "team-a", ""},
			{"team-a/one", "off", Disabled, "0 4 * * *", "team-a", ""},
			{"team-b/two", "0 5 * * *", Rejected, "0 4 * * *", "team-a", "team-b/two"},
		}},
		"consensus needs everybody with a preference": {Consensus{}, []step{
			{"team-a/one", "0 4 * * *", Established, "0 4 * * *", "team-a", ""},
			{"team-b/two", "0 5 * * *", Rejected, "0 4 * * *", "team-a", "team-b/two"},
			{"team-c/six", "", Agreed, "0 4 * * *", "team-a", "team-b/two"},
			{"team-a/one", "", Agreed, "0 4 * * *", "team-a", ""}, // nobody else has a preference: two would be permitted now
			{"team-b/two", "0 5 * * *", Superseded, "0 4 * * *", "team-a", ""},
			{"team-b/two", "0 6 * * *", Established, "0 6 * * *", "team-b", ""}, // and its namespace is the owner
		}},
		"bounds hold for the first, too": {mustBounded(t, nil, time.Hour, 31*day), []step{
			{"team-a/one", "* * * * *", Rejected, DefaultSchedule, "team-a", "team-a/one"},
			{"team-a/one", "0 0 29 2 *", Rejected, DefaultSchedule, "team-a", "team-a/one"},
			{"team-a/one", "0 0 1 * *", Established, "0 0 1 * *", "team-a", ""},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var current *State
			for i, step := range story.steps {
				now := start.Add(time.Duration(i) * time.Minute)
				decided, err := Resolve(current, ask(t, step.source, step.asks), now, story.policy)
				if err != nil {
					t.Fatal(err)
				}
				current = decided.Desired
				var rejected []string
				for _, conflict := range current.Conflicts() {
					rejected = append(rejected, conflict.Source.String())
				}
				got := step
				got.verdict, got.schedule, got.owner = decided.Verdict, current.Schedule.String(), current.Owner
				if got.rejected = strings.Join(rejected, " "); got != step {
					t.Fatalf("step %d: got %v, expected %v", i+1, got, step)
				}
			}
		})
	}
}

func TestHandOver(t *testing.T) {
	state := &State{
		RepositoryHash: shared.Hash(), Schedule: mustSchedule(t, "0 2 * * *"), Owner: "team-a", Policy: "first-wins",
		Claims: map[SourceRef]Claim{
			ref("team-b/one"): {mustSchedule(t, "0 4 * * *"), start, true},
			ref("team-b/two"): {mustSchedule(t, "0 5 * * *"), start, true},
			ref("team-c/six"): {mustSchedule(t, "* * * * *"), start, true},
		},
	}
	for _, test := range []struct {
		namespace string
		policy    Policy
		schedule  string
		opened    int
		closed    int
	}{
		{"team-a", nil, "0 2 * * *", 0, 0},
		{"team-b", nil, "0 5 * * *", 0, 2},
		{"team-c", nil, "* * * * *", 0, 1},
		{"team-c", mustBounded(t, nil, time.Hour, 0), "0 2 * * *", 3, 3}, // another policy: other records
		{"team-d", nil, "0 2 * * *", 0, 0},
	} {
		decided, err := HandOver(state, test.namespace, test.policy)
		if err != nil {
			t.Fatal(err)
		}
		got := decided.Desired
		if got.Owner != test.namespace || got.Schedule.String() != test.schedule ||
			len(decided.Opened()) != test.opened || len(decided.Closed()) != test.closed {
			t.Errorf("%s: owner %s, schedule %s, opened %v, closed %v",
				test.namespace, got.Owner, got.Schedule, decided.Opened(), decided.Closed())
		}
	}
	every := *state // an administrator has established what the bounds do not permit, and team-c asked for that last
	every.Schedule, every.Policy, every.Claims = mustSchedule(t, "* * * * *"), "", map[SourceRef]Claim{
		ref("team-c/one"): {mustSchedule(t, "0 4 * * *"), start, false},
		ref("team-c/six"): {mustSchedule(t, "* * * * *"), start.Add(time.Minute), false},
	}
	decided, err := HandOver(&every, "team-c", mustBounded(t, nil, time.Hour, 0))
	if err != nil || decided.Desired.Schedule.String() != "* * * * *" {
		t.Errorf("handed over to who agrees: %v, %v", decided, err)
	}
	if decided, _ := HandOver(state, "team-a", nil); decided.Desired != state || decided.Action() != None {
		t.Error("handing over to the present owner is not nothing")
	}
}

func TestReconcile(t *testing.T) {
	first, _ := Resolve(nil, ask(t, "team-a/one", "0 4 * * *"), start, nil)
	second, _ := Resolve(first.Desired, ask(t, "team-b/two", "0 5 * * *"), start, nil)
	for name, test := range map[string]struct {
		current    *State
		requests   []Request
		unreadable []SourceRef
		action     Action
		verdicts   map[string]Verdict
	}{
		"nobody is left":                           {second.Desired, nil, nil, Delete, nil},
		"only disabled ones are left":              {second.Desired, []Request{ask(t, "team-a/one", "off")}, nil, Delete, map[string]Verdict{"team-a/one": Disabled}},
		"an unreadable one keeps it":               {first.Desired, nil, []SourceRef{ref("team-a/one")}, None, map[string]Verdict{"team-a/one": Unreadable}},
		"an unreadable one creates none":           {nil, nil, []SourceRef{ref("team-a/one")}, None, map[string]Verdict{"team-a/one": Unreadable}},
		"gone claims are dropped":                  {second.Desired, []Request{ask(t, "team-b/two", "0 5 * * *")}, nil, Update, map[string]Verdict{"team-b/two": Rejected}},
		"the same again":                           {second.Desired, []Request{ask(t, "team-b/two", "0 5 * * *"), ask(t, "team-a/one", "0 4 * * *")}, nil, None, map[string]Verdict{"team-b/two": Rejected, "team-a/one": Agreed}},
		"sources that disagree, and nobody before": {nil, []Request{ask(t, "team-b/two", "0 5 * * *"), ask(t, "team-a/one", "0 4 * * *")}, nil, Create, map[string]Verdict{"team-b/two": Rejected, "team-a/one": Agreed}},
	} {
		decided, err := Reconcile(test.current, test.requests, start, nil, test.unreadable)
		if err != nil {
			t.Fatal(err)
		}
		verdicts := map[string]Verdict{}
		for source, standing := range decided.Standings {
			verdicts[source.String()] = standing.Verdict
		}
		if decided.Action() != test.action || len(verdicts) != len(test.verdicts) || len(verdicts) > 0 && !reflect.DeepEqual(verdicts, test.verdicts) {
			t.Errorf("%s: %s, %v", name, decided.Action(), verdicts)
		}
	}
	if _, err := Reconcile(nil, []Request{ask(t, "team-a/one", ""), ask(t, "team-a/one", "")}, start, nil, nil); codeOf(err) != InvalidValue {
		t.Errorf("one source twice: %v", err)
	}
	other := ask(t, "team-a/one", "")
	other.Repository.CustomCA.Key = "ca.crt"
	if _, err := Reconcile(nil, []Request{other, ask(t, "team-b/two", "")}, start, nil, nil); codeOf(err) != RepositoryMismatch {
		t.Errorf("two repositories: %v", err)
	}
}

func TestRefusedArguments(t *testing.T) {
	never := ask(t, "team-a/one", "0 0 30 2 *")
	marked := &State{RepositoryHash: shared.Hash(), Schedule: mustSchedule(t, "@daily"), Policy: "first-wins"}
	for name, test := range map[string]struct {
		code Code
		err  func() error
	}{
		"a schedule that never fires": {NeverFires, func() error { _, err := Resolve(nil, never, start, nil); return err }},
		"another repository": {RepositoryMismatch, func() error {
			state := &State{RepositoryHash: "0123456789abcdef", Schedule: mustSchedule(t, "@daily")}
			_, err := Resolve(state, ask(t, "team-a/one", ""), start, nil)
			return err
		}},
		"no time":                 {InvalidValue, func() error { _, err := Resolve(nil, ask(t, "team-a/one", ""), time.Time{}, nil); return err }},
		"a policy without a mark": {InvalidValue, func() error { _, err := Withdraw(marked, ref("team-a/one"), nil); return err }},
		"no CronJob to hand over": {InvalidValue, func() error { _, err := HandOver(nil, "team-a", nil); return err }},
		"a namespace that is none": {InvalidValue, func() error {
			_, err := HandOver(&State{RepositoryHash: shared.Hash(), Schedule: mustSchedule(t, "@daily")}, "Team_A", nil)
			return err
		}},
		"a source that is none":       {InvalidValue, func() error { _, err := Resolve(nil, ask(t, "team-a", ""), start, nil); return err }},
		"an unknown policy":           {InvalidValue, func() error { _, err := PolicyByName("last-wins"); return err }},
		"no bound":                    {InvalidValue, func() error { _, err := NewBounded(nil, 0, 0); return err }},
		"bounds that no schedule has": {InvalidValue, func() error { _, err := NewBounded(nil, 2*time.Hour, time.Hour); return err }},
	} {
		if code := codeOf(test.err()); code != test.code {
			t.Errorf("%s: %q, not %q", name, code, test.code)
		}
	}
}

// TestLaws holds random histories against what must be true after every step, whatever happens.
func TestLaws(t *testing.T) {
	schedules := []string{"", "0 2 * * *", "00 2 * * *", "0 4 * * *", "* * * * *", "off"}
	sources := []string{"team-a/one", "team-a/two", "team-b/one", "team-c/one", "team-c/two"}
	policies := []Policy{FirstWins{}, Consensus{}, mustBounded(t, Consensus{}, time.Hour, 0)}
	random := rand.New(rand.NewSource(1))
	for history := 0; history < 150; history++ {
		var current *State
		policy := policies[history%len(policies)]
		for step := 0; step < 20; step++ {
			now := start.Add(time.Duration(random.Intn(100)) * time.Second) // a clock that goes back, too
			var requests []Request
			for _, i := range random.Perm(len(sources))[:1+random.Intn(len(sources))] {
				requests = append(requests, ask(t, sources[i], schedules[random.Intn(len(schedules))]))
			}
			decided, err := Reconcile(current, requests, now, policy, nil)
			if err != nil {
				t.Fatal(err)
			}
			random.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
			again, _ := Reconcile(current, requests, now, policy, nil)
			if !decided.Desired.Equal(again.Desired) || !reflect.DeepEqual(decided.Standings, again.Standings) {
				t.Fatal("the result depends on the order of the list")
			}
			checkWritten(t, current, decided.Desired)
			current = decided.Desired
			for _, request := range requests {
				repeated, err := Resolve(current, request, now.Add(time.Hour), policy)
				if err != nil {
					t.Fatal(err)
				}
				if repeated.Desired != current {
					t.Fatalf("asking again changed %v into %v", current, repeated.Desired)
				}
				if marked := current.conflict(request.Source) != nil; marked != (repeated.Verdict == Rejected) {
					t.Fatalf("%s is %s, marked: %v", request.Source, repeated.Verdict, marked)
				}
			}
			for _, request := range requests {
				schedule, owner := "", ""
				if current != nil {
					schedule, owner = current.Schedule.text, current.Owner
				}
				decided, err := Resolve(current, ask(t, request.Source.String(), "off"), now, policy)
				if err != nil {
					t.Fatal(err)
				}
				if after := decided.Desired; after != nil && (after.Schedule.text != schedule || after.Owner != owner) {
					t.Fatal("a disabled source changed schedule or owner")
				}
			}
		}
	}
}

// checkWritten looks whether what is written can be read back, and whether patches lead there and then end.
func checkWritten(t *testing.T, before, after *State) {
	if after == nil {
		return
	}
	created, err := Manifest(after, nil, "volsync-system")
	if err != nil {
		t.Fatal(err)
	}
	if read, err := ReadState(created); err != nil || !read.Equal(after) {
		t.Fatalf("%v was read back as %v: %v", after, read, err)
	}
	if before == nil {
		return
	}
	old, _ := Manifest(before, Object{"spec": Object{"suspend": true}}, "volsync-system")
	change, err := Patch(after, old)
	if err != nil {
		t.Fatal(err)
	}
	patched := merge(old, change)
	if read, err := ReadState(patched); err != nil || !read.Equal(after) || patched["spec"].(Object)["suspend"] != true {
		t.Fatalf("%v was patched to %v: %v", after, read, err)
	}
	if change, _ := Patch(after, patched); change != nil {
		t.Fatalf("a patch is left: %v", change)
	}
}
