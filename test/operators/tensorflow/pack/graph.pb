
^
x0Placeholder*
_user_specified_namex0*
dtype0* 
shape:ÿÿÿÿÿÿÿÿÿ

NegNegx0*
T0
3
PackPackx0Neg*
N*
T0*

axis
#
IdentityIdentityPack*
T0"ª