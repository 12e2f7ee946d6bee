package tensorflow

func recurrentOperators() map[string]operator { return map[string]operator{} }
