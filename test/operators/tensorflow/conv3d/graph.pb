
f
x0Placeholder*
_user_specified_namex0*
dtype0*(
shape:ÿÿÿÿÿÿÿÿÿ
æ
ConstConst*
dtype0*È
value¾B»" ‘1¿–Ïõ>Œ]ò¾Q2Š=¡‰x¿fV?*M?cãn¿Cõi?³¿9¿\Ý¾$BY>zqc?Á™4?á×~¿5â-=j%Õ=““ï¼áH	?‰¶-¿xt?kXu¿»Å:¿ÝwD¿5ªÂ¾H‘¯>‡¯k½Ðà!?v×¾”¸î><|Ï>¡‘°¾(R©¾Ät?è$>f?’ò?g&?_3?¾ÕpÇ½¥K¾À‚}?O%¿€Ùl?`%¾dŠ¾6ñ–½¸N¾aG½mþm¿6ÚT¿èî>x‹>¶q¿8 Ì¾kì¿kÔc¿‹n>=cF+¾ßOg¿ÒH>‰f?ÿÕE¿c;ä¾‘>æûm¼YÔV<Ñð½ÄJ?ú¡X>¬S> æå½
}
Conv3DConv3Dx0Const*
T0*
data_formatNDHWC*
	dilations	
*
paddingSAME*
strides	

%
IdentityIdentityConv3D*
T0"ª