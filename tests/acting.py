"""Flows whose scripted models call tools as they are told: `call Sums {"expression": "6*7"}`, a line of the message."""

AGENT = """
name: Helper
chat: {show_tools: SHOWN}
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, model: scripted, input_value: "${ChatInput}", tools: [Sums, Expert, Wait]}
  Sums: {type: Calculator, display_name: Do sums}
  Expert: {type: Agent, model: scripted, tools: [Sums]}
  Wait: {type: RunFlow, flow: silent, step: {description: Waits.}}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""
ALWAYS = r"""
name: Always
components:
  ChatInput: {type: ChatInput}
  Agent:
    type: Agent
    model: paced:echo
    input_value: "call Sums {\"expression\": \"6*7\"}\n${ChatInput}"
    tools: [Sums]
  Sums: {type: Calculator}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""
SILENT = """
name: Silent
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: scripted:silent, input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
ACTING = {
    "agent": AGENT.replace("SHOWN", "false"),
    "shown": AGENT.replace("SHOWN", "true"),
    "unkept": AGENT.replace("SHOWN", "false").replace(
        "{type: ChatInput}", "{type: ChatInput, should_store_message: false}"
    ),
    "silent": SILENT,
}
SUM = 'call Sums {"expression": "6*7"}'
WRONG = 'call Sums {"expression": "six"}'
NESTED = r'call Expert {"input_value": "call Sums {\"expression\": \"1+1\"}"}'
HANG = 'call Wait {"input_value": "x"}'
ASKING_FIRST = """
name: Careful
components:
  ChatInput: {type: ChatInput}
  Agent:
    type: Agent
    model: scripted
    input_value: ${ChatInput}
    tools: [{use: Sums, confirm: true}, {use: Sums, name: quick}, {use: Expert, confirm: true}]
  Sums: {type: Calculator, display_name: Do sums}
  Expert: {type: Agent, model: scripted}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""
EACH = """
name: Each
components:
  ChatInput: {type: ChatInput}
  Each: {type: ForEach, data: [{text: one}], flow: careful, input_value: "{text}"}
  ChatOutput: {type: ChatOutput, input_value: "${Each}"}
"""
