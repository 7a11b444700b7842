// SPDX-License-Identifier: Apache-2.0

// Package kopiamaint decides which maintenance schedule wins where several tenants share one Kopia repository, always
// the same way, and records every request that lost. It follows the rules of kopia-maint, whose vectors it passes.
//
// The package does no I/O, reads no clock and keeps no state: its caller reads and writes the cluster. It knows
// Kubernetes objects as plain data, and depends on robfig/cron alone, which is what Kubernetes reads schedules with.
//
// # One source at a time
//
// A controller that has typed objects hands over what the package reads of them:
//
//	job := kopiamaint.CronJob{Namespace: j.Namespace, Name: j.Name, UID: string(j.UID), ResourceVersion: j.ResourceVersion,
//		Labels: j.Labels, Annotations: j.Annotations, Schedule: j.Spec.Schedule}.Object()
//	current, err := kopiamaint.ReadState(job)                       // nil where there is no CronJob
//	decision, err := kopiamaint.Resolve(current, *request, time.Now(), kopiamaint.FirstWins{})
//	write, err := kopiamaint.WriteFor(decision.Decision, job, template, "volsync-system")
//
// The request comes from [Source.Request], or from [ReadRequest] for an unstructured object.
//
// # A whole cluster
//
// [Cluster.Plan] reads all CronJobs and all sources, and returns the writes, and how each source stands. It takes
// unstructured objects, so that one source of a wrong type does not hide the others.
package kopiamaint
