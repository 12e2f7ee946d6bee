
Z
x0Placeholder*
_user_specified_namex0*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ

NegNegx0*
T0
,
	IdentityN	IdentityNx0Neg*
T
2
*
IdentityIdentityIdentityN:1*
T0"ª