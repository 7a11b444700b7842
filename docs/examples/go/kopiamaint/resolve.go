// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import "time"

// Resolve decides about one incoming request. A nil current is no CronJob, a nil policy [FirstWins]. The time of the
// decision, now, becomes the claim's since where the request is news.
//
// A request for another repository than the state's is refused with [RepositoryMismatch].
func Resolve(current *State, request Request, now time.Time, policy Policy) (*Resolution, error) {
	policy = orFirstWins(policy)
	now, refused := checkDecision(current, now, policy)
	if refused == nil {
		refused = checkRequest(current, request)
	}
	if refused != nil {
		return nil, refused
	}
	resolution := &Resolution{Decision: Decision{current, current}, Request: request, Verdict: Disabled}
	if !request.Enabled {
		if current != nil {
			resolution.Desired = withoutClaim(current, request.Source, policy)
		}
		return resolution, nil
	}
	draft := draftOf(current, request.Repository)
	news := draft.record(request, now)
	resolution.Verdict = draft.apply(request, news, policy)
	if resolution.Verdict == Agreed && current == nil {
		resolution.Verdict = Established
	}
	resolution.Desired = draft.settle(current, policy)
	resolution.Conflict = resolution.Desired.conflict(request.Source)
	return resolution, nil
}

// HandOver makes namespace the owner: an administrator's act. Of its claims that ask for the established schedule, or
// that the policy permits now, the latest is established. To the present owner it does nothing.
func HandOver(current *State, namespace string, policy Policy) (*Decision, error) {
	policy = orFirstWins(policy)
	refused := checkAct(current, policy)
	if refused == nil {
		refused = namespaceName.check(namespace)
	}
	if refused != nil {
		return nil, refused
	}
	if current.Owner == namespace {
		return &Decision{current, current}, nil
	}
	draft := draftOf(current, Repository{})
	draft.Owner = namespace
	var latest Claim
	for _, source := range draft.sources() {
		claim := draft.Claims[source]
		if source.Namespace != namespace || claim.Schedule.IsZero() || claim.Since.Before(latest.Since) {
			continue
		}
		if claim.Schedule.Equal(draft.Schedule) || policy.Permits(draft.State, source) {
			latest = claim
		}
	}
	if !latest.Schedule.IsZero() {
		draft.Schedule = latest.Schedule
	}
	return &Decision{current, draft.settle(current, policy)}, nil
}

// Withdraw drops the claim of a source that was deleted, or that moved to another repository: for controllers that
// only ever call [Resolve]. When no claim is left, list the sources and [Reconcile]: only that can delete.
func Withdraw(current *State, source SourceRef, policy Policy) (*Decision, error) {
	policy = orFirstWins(policy)
	refused := checkAct(current, policy)
	if refused == nil {
		refused = source.check()
	}
	if refused != nil {
		return nil, refused
	}
	return &Decision{current, withoutClaim(current, source, policy)}, nil
}

func withoutClaim(current *State, source SourceRef, policy Policy) *State {
	if _, claimed := current.Claims[source]; !claimed {
		return current
	}
	draft := draftOf(current, Repository{})
	delete(draft.Claims, source)
	return draft.settle(current, policy)
}

// draft is a state while it is decided about: a copy, without marks, as policies are asked about it.
type draft struct{ *State }

// draftOf copies current; where that is nil it begins a CronJob with the default schedule, no owner and no claims.
func draftOf(current *State, repository Repository) draft {
	if current == nil {
		schedule, _ := parseSchedule(DefaultSchedule)
		return draft{&State{RepositoryHash: repository.Hash(), Schedule: schedule, Claims: map[SourceRef]Claim{}}}
	}
	next := *current
	next.Policy, next.Claims = "", make(map[SourceRef]Claim, len(current.Claims))
	for source, claim := range current.Claims {
		claim.Rejected = false
		next.Claims[source] = claim
	}
	return draft{&next}
}

// record settles an unknown owner, records the claim of an enabled request, and returns whether it is news.
func (d draft) record(request Request, now time.Time) bool {
	if d.Owner == "" {
		d.Owner = request.Source.Namespace
	}
	d.SecretName = request.Repository.SecretName
	claim, known := d.Claims[request.Source]
	if known && claim.Schedule.Equal(request.Schedule) {
		return false
	}
	d.Claims[request.Source] = Claim{Schedule: request.Schedule, Since: now}
	return true
}

// apply is the table of rules: what becomes of an enabled request, whose claim is recorded.
func (d draft) apply(request Request, news bool, policy Policy) Verdict {
	switch wanted := request.Schedule; {
	case wanted.IsZero() || wanted.Equal(d.Schedule):
		return Agreed
	case !policy.Permits(d.State, request.Source):
		return Rejected
	case news:
		d.Schedule, d.Owner = wanted, request.Source.Namespace
		return Established
	default:
		return Superseded
	}
}

// settle marks the claims that the policy does not permit, and returns the draft's state: current itself where they
// are equal. The policy is asked before anything is marked, for it is asked about a state without marks.
func (d draft) settle(current *State, policy Policy) *State {
	var rejected []SourceRef
	for source, claim := range d.Claims {
		if d.Owner != "" && !claim.Schedule.IsZero() && !claim.Schedule.Equal(d.Schedule) && !policy.Permits(d.State, source) {
			rejected = append(rejected, source)
		}
	}
	for _, source := range rejected {
		claim := d.Claims[source]
		claim.Rejected = true
		d.Claims[source], d.Policy = claim, policy.Name()
	}
	if d.State.Equal(current) {
		return current
	}
	return d.State
}

func checkDecision(current *State, now time.Time, policy Policy) (time.Time, *Error) {
	if refused := policyName.check(policy.Name()); refused != nil {
		return now, refused
	}
	if now.IsZero() {
		return now, refuse(InvalidValue, "the time of the decision must be given")
	}
	if current != nil {
		if refused := current.check(); refused != nil {
			return now, refused
		}
	}
	return wholeSeconds(now)
}

func checkAct(current *State, policy Policy) *Error {
	if current == nil {
		return refuse(InvalidValue, "there is no CronJob to change")
	}
	if refused := policyName.check(policy.Name()); refused != nil {
		return refused
	}
	return current.check()
}

func checkRequest(current *State, request Request) *Error {
	if refused := request.check(); refused != nil {
		return refused
	}
	if hash := request.Repository.Hash(); current != nil && hash != current.RepositoryHash {
		refused := refuse(RepositoryMismatch, "%s asks about repository %s (%s), the CronJob is that of %s",
			request.Source, hash, request.Repository.SecretName, current.RepositoryHash)
		refused.Source, refused.SecretName = request.Source, request.Repository.SecretName
		return refused
	}
	return nil
}
