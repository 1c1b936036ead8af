-- What a caller is told of limits and budgets, behind five values of its own: of requests and tokens the tighter of key and
-- tenant. The windows carry their limits as `requests` and `tokens`; `bk` is nil without a key budget.
local function state_reply(a, b, c, d, e, wk, wt, bt, bk)
  local wr = math.max(0, wt.requests - wt.n) < math.max(0, wk.requests - wk.n) and wt or wk
  local wx = math.max(0, wt.tokens - wt.t) < math.max(0, wk.tokens - wk.t) and wt or wk
  local out = {
    a, b, c, d, e,
    wr.requests, math.max(0, wr.requests - wr.n), window_reset_ms(wr),
    wx.tokens, math.max(0, wx.tokens - wx.t), window_reset_ms(wx),
    bt.spent or '', bt.open, bt.needs_seed and 1 or 0,
  }
  if bk then
    out[15], out[16], out[17] = bk.spent or '', bk.open, bk.needs_seed and 1 or 0
  end
  return out
end
