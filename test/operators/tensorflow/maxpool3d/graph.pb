
H
x0Placeholder*
dtype0*(
shape:ÿÿÿÿÿÿÿÿÿ
x
	MaxPool3D	MaxPool3Dx0*
T0*
data_formatNDHWC*
ksize	
*
paddingSAME*
strides	

(
IdentityIdentity	MaxPool3D*
T0"ª