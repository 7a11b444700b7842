// SPDX-License-Identifier: Apache-2.0

// An operator that embeds kopiamaint: it reads everything, plans, and writes what differs; again at every change.
// The CronJobs and the conditions of the sources are its only memory: it may be killed at any moment. Several may run
// at once, without a leader: the API server refuses stale writes. An event says that something changed, never what to do.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"text/template"
	"time"

	"example.com/kopia-maint/kopiamaint"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/yaml"
)

const sourceVersion, sourceKind = "volsync.backube/v1alpha1", "ReplicationSource"
const pause, longestPause = 500 * time.Millisecond, time.Minute // from pass to pass at least, and while something fails
var statuses = map[string]metav1.ConditionStatus{"Agreed": "True", "Disabled": "True", "Withheld": "Unknown"}
var instance, _ = os.Hostname()

type reconciler struct {
	client.Client               // to write
	api           client.Reader // to read, past the cache
	namespace     string
	template      *template.Template
}

func main() {
	ctrl.SetLogger(zap.New())
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{Metrics: metrics.Options{BindAddress: "0"}})
	if err == nil {
		err = setup(manager, cmp.Or(os.Getenv("POD_NAMESPACE"), "volsync-system"), os.Args[1:]...)
	}
	if err == nil {
		err = manager.Start(ctrl.SetupSignalHandler())
	}
	if err != nil {
		ctrl.Log.Error(err, "the operator ends")
		os.Exit(1)
	}
}

// setup adds the controller to a manager, which needs to cache metadata only: every change asks for the same pass.
func setup(manager ctrl.Manager, namespace string, file ...string) error {
	template, err := template.ParseFiles(file...)
	if err != nil {
		return err
	}
	source := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: sourceVersion, Kind: sourceKind}}
	pass := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []ctrl.Request { return make([]ctrl.Request, 1) })
	ours := predicate.NewPredicateFuncs(func(object client.Object) bool { return object.GetNamespace() == namespace })
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](pause, longestPause)
	return ctrl.NewControllerManagedBy(manager).Named("kopia-maintenance").
		WatchesMetadata(&batchv1.CronJob{}, pass, builder.WithPredicates(ours)).
		WatchesMetadata(source, pass).
		WithOptions(controller.Options{RateLimiter: limiter, ReconciliationTimeout: 5 * time.Minute}).
		Complete(&reconciler{manager.GetClient(), manager.GetAPIReader(), namespace, template})
}

// Reconcile brings the cluster to where it should be. After an error it is called again, at growing intervals.
func (r *reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	defer time.Sleep(pause) // changes that come meanwhile share the next pass
	// In this order: if a CronJob changes after it was read, the API server refuses the write,
	// so nothing is ever decided with sources that are older than the CronJob.
	cronJobs, noCronJobs := r.list(ctx, "batch/v1", "CronJobList", client.InNamespace(r.namespace))
	sources, noSources := r.list(ctx, sourceVersion, sourceKind+"List")
	if err := cmp.Or(noCronJobs, noSources); err != nil {
		return ctrl.Result{}, err
	}
	plan, err := kopiamaint.Cluster{CronJobs: cronJobs, Sources: sources, OperatorNamespace: r.namespace, Complete: true,
		Now: time.Now(), Template: r.newCronJob}.Plan()
	if err != nil {
		return ctrl.Result{}, err
	}
	for name, cause := range plan.Withheld {
		ctrl.LoggerFrom(ctx).Error(cause, "the CronJob stays as it is", "name", name)
	}
	var failed []error // the trouble with one object is kept from the others
	for _, write := range plan.Writes {
		if err := r.store(ctx, write, plan.Decisions[write.Name].Decision); err != nil {
			failed = append(failed, err)
			for source := range plan.Decisions[write.Name].Standings {
				delete(plan.Standings, source) // nobody is told what is not written
			}
		}
	}
	for _, object := range sources {
		source := &unstructured.Unstructured{Object: object}
		standing, stands := plan.Standings[kopiamaint.SourceRef{Namespace: source.GetNamespace(), Name: source.GetName()}]
		if stands {
			failed = append(failed, r.tell(ctx, source, standing))
		}
	}
	return ctrl.Result{}, errors.Join(failed...)
}

func (r *reconciler) list(ctx context.Context, version, kind string, in ...client.ListOption) (found []kopiamaint.Object, err error) {
	list := &unstructured.UnstructuredList{Object: kopiamaint.Object{"apiVersion": version, "kind": kind}}
	err = r.api.List(ctx, list, in...)
	for _, item := range list.Items {
		found = append(found, item.Object)
	}
	return found, err
}

// store writes what was decided, and then an Event on the CronJob for each conflict that began or ended with it.
func (r *reconciler) store(ctx context.Context, write kopiamaint.Write, decision kopiamaint.Decision) (err error) {
	metadata := kopiamaint.Object{"namespace": write.Namespace, "name": write.Name}
	job := &unstructured.Unstructured{Object: kopiamaint.Object{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata}}
	switch write.Action {
	case kopiamaint.Delete:
		read := client.Preconditions{UID: new(types.UID(write.UID)), ResourceVersion: &write.ResourceVersion}
		return r.Delete(ctx, job, read, client.PropagationPolicy(metav1.DeletePropagationBackground))
	case kopiamaint.Create:
		job.Object = write.Body
		err = r.Create(ctx, job)
	case kopiamaint.Update:
		err = r.Patch(ctx, job, mergePatch(write.Body))
	}
	opened := decision.Opened()
	for i, conflict := range append(opened, decision.Closed()...) {
		event := &eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: write.Namespace, GenerateName: write.Name + "-"}, EventTime: metav1.NowMicro(),
			ReportingController: "kopia-maint", ReportingInstance: instance, Action: "Maintain",
			Type: corev1.EventTypeNormal, Reason: "ConflictEnded", Note: conflict.Message(),
			Regarding: corev1.ObjectReference{APIVersion: "batch/v1", Kind: "CronJob",
				Namespace: write.Namespace, Name: write.Name, UID: job.GetUID()},
			Related: &corev1.ObjectReference{APIVersion: sourceVersion, Kind: sourceKind,
				Namespace: conflict.Source.Namespace, Name: conflict.Source.Name},
		}
		if i < len(opened) {
			event.Type, event.Reason = corev1.EventTypeWarning, "Rejected"
		}
		if err == nil {
			err = r.Create(ctx, event)
		}
	}
	return err
}

// tell writes how a source stands into its condition, unless that says so already.
func (r *reconciler) tell(ctx context.Context, source *unstructured.Unstructured, standing kopiamaint.Standing) error {
	var known struct {
		Conditions []metav1.Condition `json:"conditions"`
	}
	status, _ := source.Object["status"].(kopiamaint.Object)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(status, &known); err != nil {
		return err
	}
	conflict := ""
	if standing.Verdict == kopiamaint.Rejected {
		conflict = " " + standing.Conflict.Message()
	}
	told := metav1.Condition{Type: "MaintenanceScheduleAccepted", Status: cmp.Or(statuses[standing.Reason], "False"),
		Reason: standing.Reason, Message: standing.Message + conflict, ObservedGeneration: source.GetGeneration()}
	if old := meta.FindStatusCondition(known.Conditions, told.Type); old != nil && old.Status == told.Status &&
		old.Reason == told.Reason && old.ObservedGeneration == told.ObservedGeneration && strings.Contains(old.Message, conflict) {
		return nil // the rest of the message is free: a replica of another release may word it in another way
	}
	meta.SetStatusCondition(&known.Conditions, told)
	read := kopiamaint.Object{"resourceVersion": source.GetResourceVersion()} // others write their conditions, too
	return r.Status().Patch(ctx, source, mergePatch(kopiamaint.Object{"metadata": read, "status": known}))
}

func mergePatch(body kopiamaint.Object) client.Patch {
	text, _ := json.Marshal(body) // of plain data: it cannot fail
	return client.RawPatch(types.MergePatchType, text)
}

// newCronJob returns the CronJob to start from: the template, filled in for a repository.
func (r *reconciler) newCronJob(repository kopiamaint.Repository, _ *kopiamaint.State) (cronJob kopiamaint.Object, err error) {
	var text strings.Builder
	if err = r.template.Execute(&text, repository); err == nil {
		err = yaml.Unmarshal([]byte(text.String()), &cronJob)
	}
	return cronJob, err
}
