package obs_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/obs"
)

func TestMetricsHaveTheNamesThatUsersGraph(t *testing.T) {
	m := obs.NewMetrics()
	ref, err := stoa.ParseRef("Ann/Net/1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	ok := stoa.Result{Usage: stoa.Usage{Queue: time.Millisecond, Compute: 2 * time.Millisecond, BatchSize: 1}}
	for range 3 {
		m.Record(nil, ref, &ok, 5*time.Millisecond)
	}
	m.Record(nil, ref, &stoa.Result{Err: stoa.Errorf(stoa.Invalid, "no")}, time.Millisecond)
	m.Record(nil, stoa.Ref{Owner: "made", Name: "up"}, &stoa.Result{Err: stoa.Errorf(stoa.NotFound, "no")}, 1)
	m.Rejected(stoa.Unauthenticated)
	m.Gauge("stoa_workers", "Workers.", func() float64 { return 2 })
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`nv_inference_request_success{model="ann/net",version="1.0.0"} 3`,
		`nv_inference_request_failure{model="ann/net",reason="invalid",version="1.0.0"} 1`,
		`nv_inference_request_failure{model="",reason="not_found",version=""} 1`,
		`nv_inference_count{model="ann/net",version="1.0.0"} 3`,
		`nv_inference_request_duration_us{model="ann/net",version="1.0.0"} 16000`,
		`nv_inference_queue_duration_us{model="ann/net",version="1.0.0"} 3000`,
		`nv_inference_compute_infer_duration_us{model="ann/net",version="1.0.0"} 6000`,
		`stoa_request_duration_seconds_count{model="ann/net",version="1.0.0"} 4`,
		`stoa_key_rejections_total{reason="unauthenticated"} 1`,
		`stoa_workers 2`,
	} {
		if !strings.Contains(rec.Body.String(), want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(rec.Body.String(), "made/up") {
		t.Error("a caller can make labels up")
	}
}
