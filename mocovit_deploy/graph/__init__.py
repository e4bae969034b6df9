"""The one intermediate form: a flat functional graph of ATen operations.

capture      nn.Module -> fx.GraphModule          edit        find, count and replace nodes
assignments  y[:, 2] = v without mutation         insert      new operations and constants
script       from torch.jit modules               wrapper     paths behind modules of this package
fp16_range   which values overflow in fp16        cost        parameters, MACs and activation bytes
stopped      where a converter stopped            resize      bicubic resizing as two matrix products
"""
