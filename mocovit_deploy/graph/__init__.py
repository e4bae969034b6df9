"""The one intermediate form: the flat ATen graph that torch.export gives.

capture     nn.Module -> fx.GraphModule           edit        find, count and replace nodes
fp16_range  which values overflow in half         cost        parameters, MACs and activation bytes
"""
