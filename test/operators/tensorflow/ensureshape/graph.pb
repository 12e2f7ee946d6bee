
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
E
EnsureShapeEnsureShapex0*
T0*
shape:ÿÿÿÿÿÿÿÿÿ
*
IdentityIdentityEnsureShape*
T0"ª