// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/robfig/cron/v3"
)

const (
	longestLine     = 64 * 1024 * 1024
	deepestLine     = 100
	defaultOperator = "volsync-system"
)

// Answer answers one line of the conformance wire format, whatever is in it, with what encoding/json can write.
// It is how this package is held against the vectors of kopia-maint, and how a fork holds its copy against them.
func Answer(line []byte) Object {
	q, refused := readQuestion(line)
	if refused == nil {
		var answer Object
		if answer, refused = q.answer(); refused == nil {
			return answer
		}
	}
	return Object{"error": Object{"code": refused.Code, "message": refused.Message, "path": refused.Path}}
}

type question struct {
	fields
	now    time.Time
	policy Policy
}

func readQuestion(line []byte) (*question, *Error) {
	if len(line) > longestLine || !utf8.Valid(line) || !json.Valid(line) {
		return nil, refuse(InvalidValue, "the line is not JSON of at most %d bytes", longestLine)
	}
	var asked Object
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber() // foreign numbers come back as they were
	if err := decoder.Decode(&asked); err != nil || asked == nil || !isPlain(asked, deepestLine) {
		return nil, refuse(InvalidValue, "the line must be a JSON object, at most %d deep, of numbers of 64 bits", deepestLine)
	}
	return &question{fields: fields{asked, "", new(*Error)}}, nil
}

// isPlain returns whether a JSON value nests less than depth deep, and holds no number that overflows.
func isPlain(value any, depth int) bool {
	plain := depth > 0
	switch value := value.(type) {
	case Object:
		for _, member := range value {
			plain = plain && isPlain(member, depth-1)
		}
	case []any:
		for _, item := range value {
			plain = plain && isPlain(item, depth-1)
		}
	case json.Number:
		if strings.ContainsAny(value.String(), ".eE") {
			number, _ := strconv.ParseFloat(value.String(), 64)
			return plain && !math.IsInf(number, 0)
		}
	}
	return plain
}

// answer refuses, of several faults, the first of: op, policy, now, what is asked for, the CronJob.
func (q *question) answer() (Object, *Error) {
	ops := map[string]func() (Object, *Error){
		"resolve": q.resolve, "reconcile": q.reconcile, "plan": q.plan, "handOver": q.handOver, "withdraw": q.withdraw,
	}
	op := q.needed("op")
	if ops[op] == nil {
		q.keep(refuse(InvalidValue, "%.60q is not known", op), "op")
	}
	q.policy = q.readPolicy()
	if op != "handOver" && op != "withdraw" {
		q.now = q.readNow()
	}
	if q.fault() != nil {
		return nil, q.fault()
	}
	return ops[op]()
}

func (q *question) readNow() time.Time {
	now, refused := parseTime(q.needed("now"))
	q.keep(refused, "now")
	return now
}

// list returns a member of the question that must be a list of objects; what is no object becomes nil.
func (q *question) list(key string) []Object {
	items, isList := q.members[key].([]any)
	if !isList {
		q.refuse(key, "must be a list, not %s", typeName(q.members[key]))
	}
	objects := make([]Object, len(items))
	for i, item := range items {
		objects[i], _ = item.(Object)
	}
	return objects
}

// readPolicy reads the name of a policy, or {"name": "bounded", "policy": …, "shortest": "1h", "longest": "744h"}, whose
// bounds are durations as @every has them.
func (q *question) readPolicy() Policy {
	if _, isMapping := q.members["policy"].(Object); !isMapping {
		return q.named("policy")
	}
	settings := q.mapping("policy")
	if name := settings.needed("name"); name != "bounded" {
		settings.keep(refuse(InvalidValue, "%.60q is not known, only bounded is", name), settings.at("name"))
	}
	inner := settings.named("policy")
	var bounds [2]time.Duration
	for i, key := range []string{"shortest", "longest"} {
		if settings.has(key) {
			text := settings.stored(key)
			if _, refused := parseSchedule("@every " + text); refused != nil {
				settings.keep(refuse(InvalidValue, "%.60q is not a Go duration, such as 90m", text), settings.at(key))
			}
			bound, _ := time.ParseDuration(text)
			bounds[i] = cron.Every(bound).Delay // in whole seconds, one at least
		}
	}
	bounded, err := NewBounded(inner, bounds[0], bounds[1])
	settings.keep(asRefusal(err), settings.path)
	return bounded
}

func (f fields) named(key string) Policy {
	policy, err := PolicyByName(f.needed(key))
	f.keep(asRefusal(err), f.at(key))
	return policy
}

// asRefusal returns what an exported function of this package refused.
func asRefusal(err error) *Error {
	refused, _ := err.(*Error)
	return refused
}

func (q *question) resolve() (Object, *Error) {
	manifest, _ := q.members["request"].(Object)
	request, refused := readRequest(manifest)
	if refused != nil {
		return nil, refused.at("request")
	}
	if request == nil {
		return Object{"verdict": nil, "cronJob": q.members["current"]}, nil
	}
	current, refused := q.current()
	if refused != nil {
		return nil, refused
	}
	decided, err := Resolve(current, *request, q.now, q.policy)
	if err != nil {
		return nil, asRefusal(err)
	}
	written, refused := q.written(decided.Desired)
	return Object{"verdict": decided.Verdict, "cronJob": written}, refused
}

func (q *question) reconcile() (Object, *Error) {
	manifests := q.list("requests")
	if q.fault() != nil {
		return nil, q.fault()
	}
	var requests []Request
	var unreadable []SourceRef
	for i, manifest := range manifests {
		switch request, refused := readRequest(manifest); {
		case refused != nil && refused.Source == SourceRef{}:
			return nil, refused.at(fmt.Sprintf("requests[%d]", i)) // nobody can say whose claim stands
		case refused != nil:
			unreadable = append(unreadable, refused.Source)
		case request != nil:
			requests = append(requests, *request)
		}
	}
	current, refused := q.current()
	if refused != nil {
		return nil, refused
	}
	decided, err := Reconcile(current, requests, q.now, q.policy, unreadable)
	if err != nil {
		return nil, asRefusal(err)
	}
	verdicts := Object{}
	for source, standing := range decided.Standings {
		verdicts[source.String()] = standing.Verdict
	}
	written, refused := q.written(decided.Desired)
	return Object{"verdicts": verdicts, "cronJob": written}, refused
}

func (q *question) handOver() (Object, *Error) {
	namespace := q.needed("namespace")
	q.keep(namespaceName.check(namespace), "namespace")
	return q.changed(func(current *State) (*Decision, error) { return HandOver(current, namespace, q.policy) })
}

func (q *question) withdraw() (Object, *Error) {
	namespace, name, _ := strings.Cut(q.needed("source"), "/")
	source := SourceRef{namespace, name}
	q.keep(source.check(), "source")
	return q.changed(func(current *State) (*Decision, error) { return Withdraw(current, source, q.policy) })
}

func (q *question) changed(act func(*State) (*Decision, error)) (Object, *Error) {
	if q.fault() != nil {
		return nil, q.fault()
	}
	current, refused := q.current()
	if refused == nil && current == nil {
		refused = refuse(InvalidManifest, "is missing").at("current")
	}
	if refused != nil {
		return nil, refused
	}
	decided, err := act(current)
	if err != nil {
		return nil, asRefusal(err)
	}
	written, refused := q.written(decided.Desired)
	return Object{"cronJob": written}, refused
}

func (q *question) plan() (Object, *Error) {
	cluster := Cluster{
		Now: q.now, Policy: q.policy, Sources: q.list("replicationSources"), CronJobs: q.list("cronJobs"),
		OperatorNamespace: q.needed("operatorNamespace"),
	}
	q.keep(namespaceName.check(cluster.OperatorNamespace), "operatorNamespace")
	if cluster.Complete = q.boolean("complete", false); !q.has("complete") {
		q.refuse("complete", "is missing")
	}
	if q.fault() != nil {
		return nil, q.fault()
	}
	plan, err := cluster.Plan()
	if err != nil {
		return nil, asRefusal(err)
	}
	cronJobs, standings := Object{}, Object{}
	for name := range plan.Decisions {
		cronJobs[name] = nil
	}
	for _, object := range cluster.CronJobs {
		metadata, _ := object["metadata"].(Object)
		state, _ := readState(object)
		if state != nil && metadata["namespace"] == cluster.OperatorNamespace && plan.Decisions[state.CronJobName()] != nil {
			cronJobs[state.CronJobName()] = object
		}
	}
	for _, write := range plan.Writes {
		switch before, _ := cronJobs[write.Name].(Object); write.Action {
		case Delete:
			cronJobs[write.Name] = nil
		default:
			cronJobs[write.Name] = merge(before, write.Body)
		}
	}
	for source, standing := range plan.Standings {
		standings[source.String()] = standing.Verdict
		if standing.Verdict == "" {
			standings[source.String()] = "withheld"
		}
	}
	return Object{"cronJobs": cronJobs, "standings": standings, "withheld": sorted(plan.Withheld)}, nil
}

func (q *question) current() (*State, *Error) {
	if q.members["current"] == nil {
		return nil, nil
	}
	manifest, _ := q.members["current"].(Object)
	state, refused := readState(manifest)
	if refused == nil && state == nil {
		refused = refuse(InvalidManifest, "is not a maintenance CronJob, whose name is %sHASH", CronJobPrefix)
	}
	if refused != nil {
		refused.at("current")
	}
	return state, refused
}

// written returns the CronJob as it should be: the current one patched, or a new one.
func (q *question) written(desired *State) (any, *Error) {
	current, _ := q.members["current"].(Object)
	if desired == nil {
		return nil, nil
	}
	if current == nil {
		created, refused := manifest(desired, nil, defaultOperator)
		return created, refused
	}
	body, refused := patch(desired, current)
	return merge(current, body), refused
}
