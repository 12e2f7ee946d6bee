
<
x0Placeholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
3
	LeakyRelu	LeakyRelux0*
T0*
alpha%š™™>
(
IdentityIdentity	LeakyRelu*
T0"ª