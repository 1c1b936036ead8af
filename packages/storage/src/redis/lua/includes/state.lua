-- What a caller is told of limits and budgets, behind five values of its own: of requests and tokens the tighter of key and
-- tenant. The windows carry their limits as `requests` and `tokens`; `bk` is nil without a key budget.
--
-- Values of an answer are joined by commas: a table of them costs Redis twice as much to send, and its client to read.
local function state_reply(a, b, c, d, e, wk, wt, bt, bk)
  local wr = math.max(0, wt.requests - wt.n) < math.max(0, wk.requests - wk.n) and wt or wk
  local wx = math.max(0, wt.tokens - wt.t) < math.max(0, wk.tokens - wk.t) and wt or wk
  return string.format('%s,%s,%d,%d,%d,%d,%d,%d,%d,%d,%d,', a, b, c, d, e,
    wr.requests, math.max(0, wr.requests - wr.n), window_reset_ms(wr),
    wx.tokens, math.max(0, wx.tokens - wx.t), window_reset_ms(wx)
  ) .. budgets_reply(bt, bk)
end
