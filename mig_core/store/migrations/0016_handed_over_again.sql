-- A relay that keeps nothing on disk (RabbitMQ, commands) may lose what it was handed. The command stays sent, and is to be handed
-- over once more: whoever finds that out puts it among the unsent ones again.

GRANT INSERT ON unsent_commands TO mig_scheduler;
