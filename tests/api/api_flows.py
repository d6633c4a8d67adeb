"""Flows for the API's tests: all on the scripted model."""

from tests.running import chat_flow

FLOWS = {
    "chat": """
name: Chat
components:
  ChatInput: {type: ChatInput, input_value: Hello}
  Prompt: {type: Prompt, template: "Be brief."}
  Model: {type: LanguageModel, model: "scripted:json", system_message: "${Prompt}", input_value: "${ChatInput}",
    temperature: 0.1}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
api: {endpoint_name: talk}
""",
    "echo": """
name: Echo
components:
  ChatInput: {type: ChatInput}
  ChatOutput: {type: ChatOutput, input_value: "${ChatInput}"}
""",
    "both": """
name: Both
components:
  ChatInput: {type: ChatInput}
  Topic: {type: TextInput, input_value: default topic}
  Prompt: {type: Prompt, template: "Topic: {topic} User: {said}", topic: "${Topic}", said: "${ChatInput}"}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${Prompt}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
  TextOutput: {type: TextOutput, input_value: "${Prompt}"}
""",
    "papers": """
name: Papers
components:
  ChatInput: {type: ChatInput}
  Each: {type: ForEach, data: [{title: One}, {title: Two}], flow: echo, input_value: "{title}",
    output_column_name: said}
  ChatOutput: {type: ChatOutput, input_value: "${Each}"}
""",
    "branching": """
name: Branching
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, model: "scripted:echo", input_value: "${Gate.true_result}"}
  Order: {type: ConditionalRouter, input_text: "${Gate.false_result}", operator: contains, match_text: order}
  ChatOutput: {type: ChatOutput, input_value: "${Refund?}${Order.true_result?}"}
""",
    "remember": """
name: Remember
components:
  ChatInput: {type: ChatInput}
  Memory: {type: MessageHistory}
  Prompt: {type: Prompt, template: "{memory}", memory: "${Memory}"}
  Model: {type: LanguageModel, model: "scripted:json", system_message: "${Prompt}", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
""",
}

TWEAKED = """
name: Tweaked
components:
  ChatInput: {type: ChatInput}
  Topic: {type: TextInput, input_value: tea}
  Prompt: {type: Prompt, template: "Talk of {topic}, {tone}.", topic: "${Topic}", tone: kindly}
  First: {type: LanguageModel, model: "scripted:json", system_message: Be brief., input_value: "${Prompt}",
    temperature: 0.1}
  Second: {type: LanguageModel, model: "scripted:json", system_message: "${Prompt}", input_value: "${ChatInput}"}
  FirstOut: {type: ChatOutput, input_value: "${First}"}
  SecondOut: {type: ChatOutput, input_value: "${Second}"}
"""
"""Two models that say what they were asked, for tweaks."""
_SPEAKING = {"spoken": "echo", "failing": "fail", "endless": "long", "broken": "breaks"}
_SPEAKING |= {name: name for name in ("cut", "fetching")}
FLOWS |= {name: chat_flow(f"scripted:{model}", name.title()) for name, model in _SPEAKING.items()}
FLOWS["tweaked"] = TWEAKED
_OPENS = """
api:
  overridable:
    - {field: First.temperature, min: 0, max: 1}
    - {field: Second.model, choices: ["scripted:json", "scripted:echo"]}
"""
FLOWS["opened"] = TWEAKED.replace("name: Tweaked", "name: Opened") + _OPENS
FLOWS["whole"] = FLOWS["spoken"].replace("Spoken", "Whole").replace("Model:\n", "Model:\n    stream: false\n")
FLOWS["wordy"] = """
name: Wordy
components:
  Topic: {type: TextInput, input_value: tea}
  TextOutput: {type: TextOutput, input_value: "${Topic}"}
"""
_SECOND = '  Second: {type: ChatOutput, input_value: "${Model}"}\n'
FLOWS["two"] = FLOWS["spoken"].replace("ChatOutput:", "First:") + _SECOND
FLOWS["imported"] = """
id: 0dd43928-4c0c-415b-b1dc-4cd3c4310860
name: Imported Flow
components:
  ChatInput-b6UCc: {type: ChatInput}
  ChatOutput-yK0AU: {type: ChatOutput, input_value: "${ChatInput-b6UCc}"}
"""
_MEMORY = '  Memory: {type: MessageHistory}\n  TextOutput: {type: TextOutput, input_value: "${Memory}"}\n'
FLOWS["recall"] = FLOWS["spoken"].replace("Spoken", "Recall") + _MEMORY
FLOWS["forgetful"] = FLOWS["remember"].replace("Remember", "Forgetful").replace("scripted:json", "scripted:fail")
