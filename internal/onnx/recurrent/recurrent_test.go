package recurrent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa/internal/tensor"
)

func TestReorder(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     []float32
	}{
		{KerasLSTM, LSTM, []float32{1, 4, 2, 3}}, // i f c o into i o f c
		{BasicLSTM, LSTM, []float32{1, 4, 3, 2}}, // i c f o
		{LSTM, LSTM, []float32{1, 2, 3, 4}},
	} {
		got, err := Reorder(tensor.Of([]float32{1, 2, 3, 4}, 4), 0, c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, tensor.As[float32](got)); diff != "" {
			t.Errorf("%s into %s: %s", c.from, c.to, diff)
		}
	}
	got, err := Reorder(tensor.Of([]float32{1, 2, 3, 11, 12, 13}, 2, 3), 1, TorchGRU, GRU)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float32{2, 1, 3, 12, 11, 13}, tensor.As[float32](got)); diff != "" {
		t.Error(diff)
	}
	if _, err := Reorder(tensor.Of([]float32{1, 2, 3}, 3), 0, KerasLSTM, LSTM); err == nil {
		t.Error("three numbers are four gates")
	}
}

func TestPack(t *testing.T) {
	cell := Cell{
		Order: KerasLSTM, Layout: Columns,
		Input:     tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2, 4), // 2 inputs, 1 hidden
		Recurrent: tensor.Of([]float32{1, 2, 3, 4}, 1, 4),
		InputBias: tensor.Of([]float32{1, 2, 3, 4}, 4),
	}
	rows := cell
	rows.Layout, rows.Order = Rows, LSTM
	rows.Input = tensor.Of([]float32{1, 5, 4, 8, 2, 6, 3, 7}, 4, 2)
	rows.Recurrent = tensor.Of([]float32{1, 4, 2, 3}, 4, 1)
	rows.InputBias = tensor.Of([]float32{1, 4, 2, 3}, 4)
	p, err := Pack(cell, rows) // two ways to say the same
	if err != nil {
		t.Fatal(err)
	}
	w := []float32{1, 5, 4, 8, 2, 6, 3, 7}
	if diff := cmp.Diff(append(w, w...), tensor.As[float32](p.W)); diff != "" {
		t.Error(diff)
	}
	b := []float32{1, 4, 2, 3, 0, 0, 0, 0}
	if diff := cmp.Diff(append(b, b...), tensor.As[float32](p.B)); diff != "" {
		t.Error(diff)
	}
	shapes := [][]int64{p.W.Shape, p.R.Shape, p.B.Shape}
	if diff := cmp.Diff([][]int64{{2, 4, 2}, {2, 4, 1}, {2, 8}}, shapes); diff != "" || p.Hidden != 1 {
		t.Error(diff)
	}
	for _, t2 := range []tensor.Tensor{p.W, p.R, p.B} {
		if err := t2.Check(); err != nil {
			t.Error(err)
		}
	}
	cell.Recurrent = tensor.Of(make([]float32, 8), 2, 4)
	if _, err := Pack(cell); err == nil {
		t.Error("two hidden numbers are one")
	}
	if _, err := Pack(); err == nil {
		t.Error("no direction is a layer")
	}
}
