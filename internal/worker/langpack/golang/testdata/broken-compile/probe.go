package probe

func Apply(s string) string {
	return t
}
