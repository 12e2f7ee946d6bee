package workertest_test

import (
	"context"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/workertest"
)

func TestDoubleKeepsTheContract(t *testing.T) {
	workertest.Exercise(t, func(t *testing.T) workertest.Subject {
		return workertest.Subject{
			Engine: &workertest.Double{
				OnLoad: func(_ context.Context, m worker.Model) error {
					if m.ID == "broken" {
						return stoa.Errorf(stoa.Invalid, "broken")
					}
					return nil
				},
				OnRun: func(ctx context.Context, _ string, v stoa.Value) (stoa.Value, error) {
					switch string(v.Data) {
					case "bad":
						return v, stoa.Errorf(stoa.Invalid, "bad")
					case "slow":
						<-ctx.Done()
					}
					return v, nil
				},
			},
			Good:    worker.Model{ID: "good"},
			Broken:  worker.Model{ID: "broken"},
			Input:   stoa.Value{Type: stoa.Text, Data: []byte("hello")},
			Want:    []byte("hello"),
			Bad:     stoa.Value{Type: stoa.Text, Data: []byte("bad")},
			Slow:    stoa.Value{Type: stoa.Text, Data: []byte("slow")},
			Preview: workertest.PreviewJob(t),
		}
	})
}
