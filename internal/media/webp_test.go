package media_test

const webpFlagBase64 = "UklGRjIAAABXRUJQVlA4TCYAAAAvB0ABAB8gEEjeHzqN+RcQFPwf3fxHZA9AIECYNGnSRkT/IzOZGQ=="
