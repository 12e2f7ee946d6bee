// Package obs is what an operator sees from outside: the metrics, under names
// that users of other servers already graph. Labels are bounded: owner, model,
// version; never a key or a request.
package obs

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stoa-project/stoa"
)

// Metrics counts calls. Its nv_ names and units (microseconds, summed) are
// Triton's, the stoa_ ones are seconds.
type Metrics struct {
	registry *prometheus.Registry

	success  *prometheus.CounterVec
	failure  *prometheus.CounterVec
	count    *prometheus.CounterVec
	request  *prometheus.CounterVec
	queue    *prometheus.CounterVec
	compute  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	rejected *prometheus.CounterVec

	perVersion sync.Map // stoa.Ref to *versionMetrics: looking labels up is dearer than the counting
}

type versionMetrics struct {
	success, count, request, queue, compute prometheus.Counter
	duration                                prometheus.Observer
	failure                                 *prometheus.CounterVec
}

// NewMetrics makes the metrics and their registry.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"model", "version"}, labels...))
		m.registry.MustRegister(c)
		return c
	}
	m.success = counter("nv_inference_request_success", "Calls that were answered.")
	m.failure = counter("nv_inference_request_failure", "Calls that ended in an error, by its kind.", "reason")
	m.count = counter("nv_inference_count", "Items run through the network.")
	m.request = counter("nv_inference_request_duration_us", "Time of calls from door to answer, summed, in microseconds.")
	m.queue = counter("nv_inference_queue_duration_us", "Time that calls waited for a worker, summed, in microseconds.")
	m.compute = counter("nv_inference_compute_infer_duration_us", "Time of calls in the worker (decode, run, encode), summed, in microseconds.")
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "stoa_request_duration_seconds", Help: "Time of a call from door to answer.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	}, []string{"model", "version"})
	m.rejected = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stoa_key_rejections_total", Help: "Requests whose key was not accepted, and refused calls without one, by reason.",
	}, []string{"reason"})
	m.registry.MustRegister(m.duration, m.rejected,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge adds a number that is read when the metrics are.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Handler serves the metrics in Prometheus' text form.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Record counts a call; see invoke.Recorder.
func (m *Metrics) Record(_ *stoa.Call, ref stoa.Ref, res *stoa.Result, took time.Duration) {
	if ref.Version.Kind != stoa.ExactVersion { // never found: no label may come from what callers make up
		m.failure.WithLabelValues("", "", stoa.KindOf(res.Err).String()).Inc()
		return
	}
	v := m.version(ref)
	if res.Err != nil {
		v.failure.WithLabelValues(stoa.KindOf(res.Err).String()).Inc()
	} else {
		v.success.Inc()
	}
	v.count.Add(float64(res.Usage.BatchSize))
	v.request.Add(float64(took.Microseconds()))
	v.queue.Add(float64(res.Usage.Queue.Microseconds()))
	v.compute.Add(float64(res.Usage.Compute.Microseconds()))
	v.duration.Observe(took.Seconds())
}

// Rejected counts a request that was refused for its key.
func (m *Metrics) Rejected(kind stoa.Kind) { m.rejected.WithLabelValues(kind.String()).Inc() }

func (m *Metrics) version(ref stoa.Ref) *versionMetrics {
	if v, ok := m.perVersion.Load(ref); ok {
		return v.(*versionMetrics) //nolint:errcheck,forcetypeassert // only this function stores
	}
	labels := prometheus.Labels{"model": strings.ToLower(ref.Owner + "/" + ref.Name), "version": ref.Version.String()}
	v := &versionMetrics{
		success: m.success.With(labels), count: m.count.With(labels), request: m.request.With(labels),
		queue: m.queue.With(labels), compute: m.compute.With(labels), duration: m.duration.With(labels),
		failure: m.failure.MustCurryWith(labels),
	}
	m.perVersion.Store(ref, v)
	return v
}
