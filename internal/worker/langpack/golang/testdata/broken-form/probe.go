package probe

func Apply(a, b, c int) string {
	return ""
}
