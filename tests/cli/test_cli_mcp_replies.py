"""Tests of flows that call MCP servers, HTTP APIs, databases and functions: `replies` stand for them, also in flows
that a flow runs."""

from tests.command_line import Here

SHOP = """\
components:
  In: {type: ChatInput}
  Ask: {type: Agent, model: scripted, input_value: "${In}", tools: [Orders]}
  Orders: {type: MCP, server: orders, tools: [find, cancel]}
  Out: {type: ChatOutput, input_value: "${Ask}"}
"""
OUTER = """\
components:
  In: {type: ChatInput}
  Shop: {type: RunFlow, flow: shop, input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Shop}"}
tests:
  - message: call orders_find {"number":1} and call orders_cancel {}
    replies: {shop.Orders: sent}
    expect: {contains: "sent\\nsent", calls: {shop.Ask: 2}}
  - message: call orders_find {} and call orders_cancel {}
    replies: {shop.Orders: [{status: sent}]}
    expect: {contains: ['{"status": "sent"}', The test has too few replies for `shop.Orders`]}
  - message: call orders_find {}
    expect: {contains: "Tests ask no MCP server: `replies` may say what `shop.Orders` gives."}
"""


def test_replies_stand_for_mcp_servers_also_in_other_flows(here: Here) -> None:
    (here.folder / "flows" / "shop.yaml").write_text(SHOP, "utf-8")
    (here.folder / "flows" / "outer.yaml").write_text(OUTER, "utf-8")
    told = here("validate", "flows/shop.yaml")
    assert (told.code, "flows/shop.yaml:4:31: There is no MCP server `orders`" in told.err) == (0, True)
    said = here("test", "outer")
    assert (said.code, said.err) == (0, "3 tests of 1 flow, all passed.\n"), said.out


def test_a_reply_with_a_status_that_is_none_is_a_sentence(here: Here) -> None:
    flow = """\
components:
  In: {type: ChatInput}
  Ask: {type: APIRequest, url_input: "https://shop.example.com/orders?id={id}", id: "${In}"}
  Out: {type: ChatOutput, input_value: "${Ask}"}
tests:
"""
    statuses = ["lost", "null", "true", "1000", "204"]
    tests = [f"  - {{message: hi, replies: {{Ask: {{status_code: {status}}}}}}}\n" for status in statuses]
    (here.folder / "flows" / "shop.yaml").write_text(flow + "".join(tests), "utf-8")
    said = here("test", "shop")
    assert said.code == 1
    says = "`status_code` of the reply for `Ask` is a whole number from 100 to 599."
    assert (said.out.count(says), said.err) == (4, "5 tests of 1 flow, 4 failed.\n"), said.out + said.err


OWN = """\
components:
  In: {type: ChatInput}
  Rows: {type: SQL, database: orders, query: "SELECT state FROM orders WHERE number = {number}", number: "${In}"}
  Tax: {type: PythonFunction, function: acme.tax, amount: "${In}"}
  Ask: {type: Agent, model: scripted, input_value: "${In}", tools: [Add]}
  Add: {type: PythonFunction, function: acme.add}
  Out: {type: ChatOutput, input_value: "${Rows}|${Tax}|${Ask}"}
tests:
  - message: call Add {"number":1}
    replies: {Rows: [{state: lost}, {state: sent}], Tax: {rate: 19}, Add: [[1, 2]]}
    expect: {matches: '^\\{"state":"lost"\\}\\s+\\{"state":"sent"\\}\\|\\{"rate":19\\}\\|The tools said: \\[1, ?2\\]$'}
  - turns:
      - {message: hi, replies: {Rows: [], Tax: 7}, expect: {equals: "|7|You said: hi"}}
      - {message: hi, replies: {Rows: [[{state: new}]], Tax: [a, b]}, expect: {contains: "|a|"}}
  - {message: hi, replies: {Rows: {state: one}}, expect: {fails: "Tests call no function: `replies` may"}}
  - {message: hi, replies: {Tax: 1}, expect: {fails: "Tests ask no database: `replies` may say what `Rows`"}}
  - {message: hi, replies: {Tax: 1, Rows: lost}, expect: {fails: "no rows: a list of mappings"}}
"""


def test_replies_stand_for_databases_and_functions(here: Here) -> None:
    (here.folder / "flows" / "own.yaml").write_text(OWN, "utf-8")
    said = here("test", "own")
    assert (said.code, said.err) == (0, "5 tests of 1 flow, all passed.\n"), said.out
