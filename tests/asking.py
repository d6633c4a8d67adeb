"""A flow that asks people for something beside their message."""

ASKING = """\
name: Letters
components:
  ChatInput: {type: ChatInput}
  Language: {type: TextInput, display_name: Language, input_value: German}
  Prompt: {type: Prompt, template: "{language}, {tone}, {length}: {message}", language: "${Language}", tone: kind,
           length: short, message: "${ChatInput}"}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${Prompt}", temperature: 0.3}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
chat: {welcome: Write something., starters: [An apology]}
api:
  overridable:
    - {field: Language.input_value, choices: [German, French, Spanish]}
    - Prompt.length
    - {field: Model.temperature, min: 0, max: 1, ask: true}
    - {field: Prompt.tone, ask: true}
"""
"""`Prompt.length` may be set by callers, and is asked of nobody."""

NEEDING = """\
name: Ticket
components:
  ChatInput: {type: ChatInput}
  Product: {type: TextInput, display_name: Your product}
  Order: {type: TextInput, display_name: Order number}
  Prompt: {type: Prompt, template: "{product}, {order}: {message}", product: "${Product}", order: "${Order}",
           message: "${ChatInput}"}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${Prompt}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
chat: {welcome: What is broken?, starters: [It smokes]}
api:
  overridable:
    - {field: Product.input_value, choices: [Kettle, Toaster], required: true}
    - Order.input_value
"""
"""No run of it begins without a product."""
