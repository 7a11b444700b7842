// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"
)

// TestPlan decides about whole clusters. A cluster begins with one CronJob of the repository "shared", owned by
// team-a, with the claims of team-a/one and of team-b/two, which is rejected.
func TestPlan(t *testing.T) {
	owned := func(secret string) Object {
		job, err := Manifest(&State{
			RepositoryHash: Repository{SecretName: secret}.Hash(), SecretName: secret, Owner: "team-a",
			Schedule: mustSchedule(t, "0 2 * * *"), Policy: "first-wins", Claims: map[SourceRef]Claim{
				ref("team-a/one"): {mustSchedule(t, "0 2 * * *"), start, false},
				ref("team-b/two"): {mustSchedule(t, "0 4 * * *"), start, true},
			},
		}, nil, "volsync-system")
		if err != nil {
			t.Fatal(err)
		}
		return merge(job, Object{"metadata": Object{"uid": "u", "resourceVersion": "1"}})
	}
	source := func(name, secret, schedule string) Object {
		who := ref(name)
		kopia := &Kopia{Repository: secret, MaintenanceCronJob: &MaintenanceCronJob{Schedule: schedule}}
		return Source{Namespace: who.Namespace, Name: who.Name, Kopia: kopia}.Object()
	}
	with := func(job Object, annotation, value string) Object {
		return merge(job, Object{"metadata": Object{"annotations": Object{annotation: value}}})
	}
	one, two, typo := source("team-a/one", "shared", "0 2 * * *"), source("team-b/two", "shared", "0 4 * * *"), source("team-c/six", "shared", "typo")
	shared, other := Repository{SecretName: "shared"}.CronJobName(), Repository{SecretName: "other"}.CronJobName()
	for name, test := range map[string]struct {
		jobs, sources []Object
		incomplete    bool
		writes        []string
		standings     map[string]string
		withheld      []string
		errors        int
	}{
		"the same again": {
			jobs: []Object{owned("shared")}, sources: []Object{two, one},
			standings: map[string]string{"team-a/one": "Agreed", "team-b/two": "Rejected"},
		},
		"nobody is left": {jobs: []Object{owned("shared")}, writes: []string{"delete " + shared}},
		"nobody is listed, and there may be others": {jobs: []Object{owned("shared")}, incomplete: true},
		"a source that cannot be named may be any": {
			jobs: []Object{owned("shared")}, sources: []Object{{}}, errors: 1,
		},
		"an object of another kind is passed over": {
			jobs: []Object{owned("shared")}, sources: []Object{{"kind": "Pod", "metadata": Object{}}}, writes: []string{"delete " + shared},
		},
		"a moved source leaves its claim": {
			jobs: []Object{owned("shared")}, sources: []Object{one, source("team-b/two", "other", "0 4 * * *")},
			writes:    inAnyOrder("create "+other, "update "+shared),
			standings: map[string]string{"team-a/one": "Agreed", "team-b/two": "Agreed"},
		},
		"an unreadable source keeps the CronJob of its Secret": {
			jobs: []Object{owned("shared"), owned("other")}, sources: []Object{typo},
			writes:    inAnyOrder("delete "+other, "update "+shared),
			standings: map[string]string{"team-c/six": "Unreadable"}, errors: 1,
		},
		"an unreadable source creates none": {
			sources: []Object{typo}, standings: map[string]string{"team-c/six": "Unreadable"}, errors: 1,
		},
		"a CronJob that does not say its Secret may be any": {
			jobs: []Object{with(owned("other"), ConfigAnnotation, "")}, sources: []Object{typo},
			writes: []string{"update " + other}, standings: map[string]string{"team-c/six": "Unreadable"}, errors: 1,
		},
		"a CronJob that cannot be read is withheld": {
			jobs: []Object{with(owned("shared"), ClaimsAnnotation, "{")}, sources: []Object{one},
			standings: map[string]string{"team-a/one": "Withheld"}, withheld: []string{shared}, errors: 1,
		},
		"a CronJob in two versions is withheld": {
			jobs: []Object{owned("shared"), with(owned("shared"), "foreign", "1")}, sources: []Object{one},
			standings: map[string]string{"team-a/one": "Withheld"}, withheld: []string{shared}, errors: 1,
		},
		"a CronJob that is listed twice counts once": {
			jobs: []Object{owned("shared"), owned("shared")}, sources: []Object{one, one, two},
			standings: map[string]string{"team-a/one": "Agreed", "team-b/two": "Rejected"},
		},
		"a source in two versions is unreadable": {
			jobs: []Object{owned("shared"), owned("other")}, sources: []Object{two, source("team-a/one", "shared", ""), source("team-a/one", "other", "")},
			standings: map[string]string{"team-a/one": "Unreadable", "team-b/two": "Rejected"},
			writes:    []string{"update " + other}, errors: 1,
		},
		"a tenant's CronJob of our name is passed over": {
			jobs:    []Object{owned("shared"), merge(owned("shared"), Object{"metadata": Object{"namespace": "team-b"}})},
			sources: []Object{one, two}, standings: map[string]string{"team-a/one": "Agreed", "team-b/two": "Rejected"},
		},
		"a CronJob without uid is not deleted": {
			jobs: []Object{merge(owned("shared"), Object{"metadata": Object{"uid": nil}})}, withheld: []string{shared}, errors: 1,
		},
		"a CronJob that would be too large is withheld": {
			jobs:    []Object{with(owned("shared"), "foreign", strings.Repeat("x", annotationsLimit-400))},
			sources: []Object{one, two, source("team-c/"+strings.Repeat("x", 250), "shared", ""), source("team-d/off", "shared", "@daily")},
			standings: map[string]string{"team-a/one": "Withheld", "team-b/two": "Withheld",
				"team-c/" + strings.Repeat("x", 250): "Withheld", "team-d/off": "Withheld"},
			withheld: []string{shared}, errors: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := Cluster{
				CronJobs: test.jobs, Sources: test.sources, Complete: !test.incomplete, OperatorNamespace: "volsync-system", Now: start,
			}
			plan, err := cluster.Plan()
			if err != nil {
				t.Fatal(err)
			}
			writes := []string{}
			for _, write := range plan.Writes {
				writes = append(writes, string(write.Action)+" "+write.Name)
			}
			standings := map[string]string{}
			for source, standing := range plan.Standings {
				standings[source.String()] = standing.Reason
			}
			want := fmt.Sprint(inAnyOrder(test.writes...), test.standings, test.withheld, test.errors)
			if got := fmt.Sprint(inAnyOrder(writes...), standings, sorted(plan.Withheld), len(plan.Errors)); got != want {
				t.Errorf("got  %s\nwant %s\nerrors %v", got, want, plan.Errors)
			}
			before := fmt.Sprint(test.jobs)
			if again, _ := cluster.Plan(); !reflect.DeepEqual(plan, again) || fmt.Sprint(test.jobs) != before {
				t.Error("the plan is not a function of the cluster")
			}
		})
	}
}

func inAnyOrder(lines ...string) []string {
	sort.Strings(lines)
	return lines
}
