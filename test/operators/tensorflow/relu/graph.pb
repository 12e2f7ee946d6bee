
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

ReluRelux0*
T0
#
IdentityIdentityRelu*
T0"ª