"""What a deployment needs besides the flows: settings, blocks, automations, containers and infrastructure."""
