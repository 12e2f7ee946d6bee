package account

// Remembered tells how many addresses a Limiter remembers.
func Remembered(l *Limiter) int { return len(l.buckets) }
