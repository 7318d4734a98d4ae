"""Relays: what carries commands to agents and answers back. ``base`` says what a relay does; each driver has two ends.

* RabbitMQ: ``amqp_agent`` and ``amqp_platform``, each over two ``amqp_connection`` (the scheduler's are one
  ``amqp_link``); ``amqp_window`` bounds what is published and not confirmed, ``amqp_inbound`` what has come and is not
  acknowledged, with a ``pausable_loop``; ``amqp_frames`` has what is written at one moment leave together.
  ``amqp_broker`` says where the broker is, ``amqp_errors`` are its refusals, ``topology`` has the names at it.
* Long polling at mig-api: ``https_agent`` over ``https_transport``, with ``https_outbox`` for what it has to say,
  ``https_uploads`` for what is large, and ``https_platform``.
* ``memory``: within one process.

``tls`` protects the first two. ``private_rabbitmq`` is a broker for machines that have none set up, with the files of
``private_rabbitmq_files``.
"""
