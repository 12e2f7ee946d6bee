package fleet

import (
	"context"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/wire"
	"github.com/stoa-project/stoa/internal/worker"
)

// Preview has the worker of a label show what a network gets of a picture. It
// starts the worker where that is needed, waits in its queue as calls do, and is
// tried once more where the worker dies.
func (f *Fleet) Preview(ctx context.Context, label string, j worker.PreviewJob) (media.Preview, error) {
	g, err := f.group(label)
	if err != nil {
		return media.Preview{}, err
	}
	for attempt := 1; ; attempt++ {
		out, err := g.preview(ctx, j, attempt > 1)
		switch {
		case !wire.IsLost(err):
			return out, err
		case attempt == attempts || ctx.Err() != nil:
			e := stoa.Wrap(stoa.Unavailable, err, "the worker died %d times while it read the picture: it may need more memory than there is", attempt)
			e.Type, e.RetryAfter = "WorkerCrashed", time.Second
			return media.Preview{}, e
		}
	}
}

func (g *group) preview(ctx context.Context, j worker.PreviewJob, again bool) (media.Preview, error) {
	m, _, err := g.acquire(ctx, want{again: again})
	if err != nil {
		return media.Preview{}, err
	}
	p, ok := m.replica.Engine().(worker.Previewer)
	if !ok {
		g.release(m, false)
		return media.Preview{}, stoa.Errorf(stoa.Unsupported, "this server's workers show no previews")
	}
	out, err := p.Preview(ctx, j)
	if wire.IsLost(err) {
		g.drop(m)
	}
	g.release(m, err == nil)
	return out, err
}
