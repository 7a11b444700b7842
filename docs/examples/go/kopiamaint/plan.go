// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"sort"
	"time"
)

// Cluster is what a plan is made from. Read the CronJobs first and the sources after them, both from the API: sources
// that are older than a CronJob undo its claims.
type Cluster struct {
	CronJobs          []Object // of the operator's namespace; others are passed over
	Sources           []Object // ReplicationSources
	OperatorNamespace string
	Complete          bool // whether Sources are all of the cluster; false deletes nothing, and drops no claim of others
	Now               time.Time
	Policy            Policy // nil: FirstWins

	// Template returns what a new CronJob begins with: its job template, limits, labels. It is called only for those.
	Template func(Repository, *State) (Object, error)
}

// Plan is what should become of every CronJob of a cluster.
type Plan struct {
	Decisions  map[string]*Reconciliation // by the CronJob's name; also where nothing changes; not the withheld ones
	Writes     []Write                    // by the CronJob's name; each is independent of the others
	Standings  map[SourceRef]Standing     // of every source that was listed
	Unreadable map[SourceRef]error
	Withheld   map[string]error // CronJobs, by name, that cannot be understood or would be too large: they stay as they are
	Errors     []error          // all of them: CronJobs, then sources, each in the order of the input, then what is too large
}

// Plan reconciles every repository of the cluster. An object that cannot be read never stops the others. It returns
// an error only for the cluster's own settings, and for the template.
func (c Cluster) Plan() (*Plan, error) {
	c.Policy = orFirstWins(c.Policy)
	now, refused := checkDecision(nil, c.Now, c.Policy)
	if refused == nil {
		refused = namespaceName.check(c.OperatorNamespace)
	}
	if refused != nil {
		return nil, refused
	}
	plan := &Plan{
		Decisions: map[string]*Reconciliation{}, Standings: map[SourceRef]Standing{},
		Unreadable: map[SourceRef]error{}, Withheld: map[string]error{},
	}
	jobs, sources := plan.readCronJobs(c), plan.readSources(c)
	named := map[string]bool{}
	for name := range jobs {
		named[name] = true
	}
	for name := range sources.requests {
		named[name] = true
	}
	for _, name := range sorted(named) {
		if plan.Withheld[name] != nil {
			continue
		}
		job := jobs[name]
		var listed map[SourceRef]bool
		if !sources.complete {
			listed = sources.listed
		}
		decided, refused := reconcile(job.state, sources.requests[name], now, c.Policy, sources.unreadableFor(job.state), listed)
		if refused != nil {
			return nil, refused
		}
		var template Object
		if decided.Action() == Create && c.Template != nil {
			var err error
			if template, err = c.Template(*decided.Repository, decided.Desired); err != nil {
				return nil, err
			}
		}
		write, refused := writeFor(decided.Decision, job.object, template, c.OperatorNamespace)
		switch {
		case refused != nil && (job.object != nil || refused.Code == StateTooLarge):
			plan.withhold(name, refused)
			continue
		case refused != nil:
			return nil, refused
		case write != nil:
			plan.Writes = append(plan.Writes, *write)
		}
		plan.Decisions[name] = decided
	}
	plan.stand(sources)
	return plan, nil
}

func (p *Plan) withhold(name string, refused *Error) {
	p.Withheld[name] = refused
	p.Errors = append(p.Errors, refused)
}

// listedCronJob is a CronJob of ours, as it was listed and read.
type listedCronJob struct {
	object Object
	state  *State
}

// readCronJobs returns the CronJobs of ours that can be read, by name.
func (p *Plan) readCronJobs(c Cluster) map[string]listedCronJob {
	jobs, first := map[string]listedCronJob{}, map[string]Object{}
	for _, object := range c.CronJobs {
		metadata, _ := object["metadata"].(Object)
		name, _ := metadata["name"].(string)
		namespace, isText := metadata["namespace"].(string)
		if isText && namespace != "" && namespace != c.OperatorNamespace {
			continue
		}
		state, refused := readState(object)
		if state == nil && refused == nil {
			continue
		}
		if refused == nil && namespace == "" {
			refused = refuse(InvalidManifest, "is missing").at("metadata.namespace")
		}
		if known := first[name]; known != nil && isOurs(name) {
			if same(known, object) {
				continue
			}
			refused = refuse(InvalidManifest, "the CronJob %s is listed twice, with different content", name)
		} else {
			first[name] = object
		}
		switch {
		case refused == nil:
			jobs[name] = listedCronJob{object, state}
		case isOurs(name):
			p.withhold(name, refused)
		default:
			p.Errors = append(p.Errors, refused)
		}
	}
	return jobs
}

// listedSources are the sources that were listed, by what could be read of them.
type listedSources struct {
	complete bool
	listed   map[SourceRef]bool     // those that can be read
	requests map[string][]Request   // by the CronJob's name
	secrets  map[SourceRef][]string // of the unreadable ones
}

func (p *Plan) readSources(c Cluster) listedSources {
	found := listedSources{c.Complete, map[SourceRef]bool{}, map[string][]Request{}, map[SourceRef][]string{}}
	first, requests := map[SourceRef]Object{}, map[SourceRef]*Request{}
	var order []SourceRef
	for _, object := range c.Sources {
		request, refused := readRequest(object)
		source := sourceOf(object)
		if source == (SourceRef{}) || isOtherKind(oneObject(object)) {
			if refused != nil {
				found.complete = false // it may be any
				p.Errors = append(p.Errors, refused)
			}
			continue
		}
		known := first[source]
		if known != nil && same(known, object) {
			continue
		}
		isListed := request != nil || refused != nil || requests[source] != nil || p.Unreadable[source] != nil
		if known == nil {
			order, first[source] = append(order, source), object
		} else if isListed {
			refused = refuse(InvalidManifest, "the source %s is listed twice, with different content", source)
			refused.Source, refused.SecretName = source, secretOf(object)
			found.secrets[source] = append(found.secrets[source], secretOf(known))
			delete(requests, source)
		}
		switch {
		case refused != nil:
			found.secrets[source] = append(found.secrets[source], secretOf(object))
			p.Unreadable[source] = refused
			p.Errors = append(p.Errors, refused)
		case request != nil:
			requests[source] = request
		}
	}
	for _, source := range order {
		if request := requests[source]; request != nil {
			name := request.Repository.CronJobName()
			found.requests[name] = append(found.requests[name], *request)
			found.listed[source] = true
		}
	}
	return found
}

// unreadableFor returns the unreadable sources that count for a CronJob: those that have a claim there, and those
// that name its Secret. Where the CronJob does not say its Secret, it may be any.
func (s listedSources) unreadableFor(state *State) []SourceRef {
	if state == nil {
		return nil
	}
	var unread []SourceRef
	for source, secrets := range s.secrets {
		_, counts := state.Claims[source]
		for _, secret := range secrets {
			counts = counts || secret != "" && (state.SecretName == "" || state.SecretName == secret)
		}
		if counts {
			unread = append(unread, source)
		}
	}
	return unread
}

// stand says of every source that was listed how it stands.
func (p *Plan) stand(sources listedSources) {
	for name, requests := range sources.requests {
		for _, request := range requests {
			if cause := p.Withheld[name]; cause != nil && request.Enabled {
				p.Standings[request.Source] = withheld(cause)
			} else {
				p.Standings[request.Source] = standing(request, nil)
			}
		}
	}
	for _, name := range sorted(p.Decisions) {
		for source, standing := range p.Decisions[name].Standings {
			if p.Standings[source].Conflict == nil {
				p.Standings[source] = standing
			}
		}
	}
	for source, cause := range p.Unreadable {
		p.Standings[source] = unreadable(cause, p.Standings[source].Conflict)
	}
}

func sorted[V any](byName map[string]V) []string {
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
