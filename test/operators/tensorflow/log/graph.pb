
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

LogLogx0*
T0
"
IdentityIdentityLog*
T0"ª