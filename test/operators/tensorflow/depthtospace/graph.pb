
D
x0Placeholder*
dtype0*$
shape:ÿÿÿÿÿÿÿÿÿ
R
DepthToSpaceDepthToSpacex0*
T0*

block_size*
data_formatNHWC
+
IdentityIdentityDepthToSpace*
T0"ª