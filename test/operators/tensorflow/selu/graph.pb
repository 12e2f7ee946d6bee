
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

SeluSelux0*
T0
#
IdentityIdentitySelu*
T0"ª