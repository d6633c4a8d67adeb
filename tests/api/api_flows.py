"""Flows for the API's tests: all on the scripted model."""

FLOWS = {
    "chat": """
name: Chat
components:
  ChatInput: {type: ChatInput, input_value: Hello}
  Prompt: {type: Prompt, template: "Be brief."}
  Model:
    type: LanguageModel
    model: scripted:json
    system_message: ${Prompt}
    input_value: ${ChatInput}
    temperature: 0.1
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
api: {endpoint_name: talk}
""",
    "echo": """
name: Echo
components:
  ChatInput: {type: ChatInput}
  ChatOutput: {type: ChatOutput, input_value: "${ChatInput}"}
""",
    "spoken": """
name: Spoken
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
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
    "failing": """
name: Failing
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:fail", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
""",
    "fetching": """
name: Fetching
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:fetching", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
""",
    "busy": """
name: Busy
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:busy", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
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
