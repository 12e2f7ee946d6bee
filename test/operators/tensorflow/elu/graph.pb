
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

EluElux0*
T0
"
IdentityIdentityElu*
T0"ª