"""What a deployment needs besides the flow: settings, blocks, automations, containers and infrastructure."""
