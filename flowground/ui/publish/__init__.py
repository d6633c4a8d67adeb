"""The header of a flow's page and the Publish menu: who may open the flow, and how it looks to them."""
