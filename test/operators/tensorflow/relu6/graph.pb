
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

Relu6Relu6x0*
T0
$
IdentityIdentityRelu6*
T0"ª