
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
E
EnsureShapeEnsureShapex0*
T0*
shape:ÿÿÿÿÿÿÿÿÿ
*
IdentityIdentityEnsureShape*
T0"ª