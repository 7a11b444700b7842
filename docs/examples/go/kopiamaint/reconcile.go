// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"errors"
	"sort"
	"time"
)

// Reconcile decides for every source of one repository that still exists, whatever the order of the list. Sources
// that cannot be read are named in unreadable: their claims stand, they keep the CronJob, and they create nothing.
// Only Reconcile deletes, because only it knows who is left.
//
// A source that is listed twice is refused with [InvalidValue], two repositories with [RepositoryMismatch].
func Reconcile(
	current *State, requests []Request, now time.Time, policy Policy, unreadable []SourceRef,
) (*Reconciliation, error) {
	return plainly(reconcile(current, requests, now, orFirstWins(policy), unreadable, nil))
}

// reconcile also takes, where the list may be incomplete, which sources are listed and can be read: the claims of
// others stand, and nothing is deleted. Nil: the list is complete.
func reconcile(
	current *State, requests []Request, now time.Time, policy Policy, unread []SourceRef, listed map[SourceRef]bool,
) (*Reconciliation, *Error) {
	now, refused := checkDecision(current, now, policy)
	if refused != nil {
		return nil, refused
	}
	decided := &Reconciliation{Decision: Decision{current, nil}, Standings: map[SourceRef]Standing{}}
	for i, request := range requests {
		if refused := checkRequest(current, request); refused != nil {
			return nil, refused
		}
		if request.Repository.Hash() != requests[0].Repository.Hash() {
			return nil, refuse(RepositoryMismatch, "the requests are about two repositories, %s and %s",
				requests[0].Repository.SecretName, request.Repository.SecretName)
		}
		decided.Repository = &requests[i].Repository
	}
	stays := map[SourceRef]bool{}
	for _, source := range unread {
		if refused := source.check(); refused != nil {
			return nil, refused
		}
		if stays[source] {
			return nil, listedTwice(source)
		}
		stays[source] = true
	}
	var enabled []Request
	for _, request := range requests {
		if _, twice := decided.Standings[request.Source]; twice || stays[request.Source] {
			return nil, listedTwice(request.Source)
		}
		decided.Standings[request.Source] = Standing{}
		if request.Enabled {
			enabled = append(enabled, request)
		}
	}
	for _, request := range enabled {
		stays[request.Source] = true
	}
	sort.Slice(enabled, func(i, j int) bool { return enabled[i].before(enabled[j]) })
	anybody := len(stays) > 0 || listed != nil
	if len(enabled) > 0 || current != nil && anybody {
		decided.Desired = decide(current, enabled, now, policy, func(source SourceRef) bool {
			return stays[source] || listed != nil && !listed[source]
		})
	}
	for _, request := range requests {
		decided.Standings[request.Source] = standing(request, decided.Desired)
	}
	for _, source := range unread {
		cause := errors.New("what the source asked for before stays as it is")
		decided.Standings[source] = unreadable(cause, decided.Desired.conflict(source))
	}
	return decided, nil
}

func listedTwice(source SourceRef) *Error {
	refused := refuse(InvalidValue, "the source %s is listed twice", source)
	refused.Source = source
	return refused
}

// decide drops the claims that do not stay, records all requests, and only then asks about those that were news: so
// that the policy sees what all sources ask for now.
func decide(current *State, enabled []Request, now time.Time, policy Policy, stays func(SourceRef) bool) *State {
	var repository Repository
	if len(enabled) > 0 {
		repository = enabled[0].Repository
	}
	draft := draftOf(current, repository)
	for source := range draft.Claims {
		if !stays(source) {
			delete(draft.Claims, source)
		}
	}
	var news []Request
	for _, request := range enabled {
		if draft.record(request, now) {
			news = append(news, request)
		}
	}
	for _, request := range news {
		draft.apply(request, true, policy)
	}
	return draft.settle(current, policy)
}

// before is the canonical order: by creation time, unknown last, then by namespace and name.
func (r Request) before(other Request) bool {
	one, two := r.CreatedAt, other.CreatedAt
	if one.IsZero() != two.IsZero() {
		return two.IsZero()
	}
	if one, two = one.Truncate(time.Second), two.Truncate(time.Second); !one.Equal(two) {
		return one.Before(two)
	}
	return r.Source.less(other.Source)
}
