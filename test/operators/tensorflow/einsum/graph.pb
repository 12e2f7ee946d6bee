
@
x0Placeholder*
dtype0* 
shape:ÿÿÿÿÿÿÿÿÿ
@
x1Placeholder*
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