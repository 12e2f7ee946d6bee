
^
x0Placeholder*
_user_specified_namex0*
dtype0* 
shape:ÿÿÿÿÿÿÿÿÿ
^
x1Placeholder*
_user_specified_namex1*
dtype0* 
shape:ÿÿÿÿÿÿÿÿÿ
F
EinsumEinsumx0x1*
N*
T0*
equationabc,acd->abd
%
IdentityIdentityEinsum*
T0"ª